import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LineBudget } from './line-budget.ts';

test('a log gets a hundred lines at once and one each ten seconds, and says how many it did not get', () => {
  const budget = new LineBudget(0);
  const taken = Array.from({ length: 150 }, () => budget.take(5000)).filter((line) => line !== undefined);
  assert.equal(taken.length, 100);
  assert.deepEqual(budget.take(12_000), { leftOut: 50 });
  assert.equal(budget.take(19_000), undefined);
  assert.deepEqual(budget.take(20_000), { leftOut: 1 });
  let lines = 0;
  for (let now = 20_000; now < 20_000 + 86_400_000; now += 100) if (budget.take(now) !== undefined) lines++;
  assert(lines >= 8600 && lines <= 8700, `${lines} a day`);
});
