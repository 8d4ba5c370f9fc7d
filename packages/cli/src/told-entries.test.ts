import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import type { SandboxLogEntry } from 'sandport';
import { ToldEntries } from './told-entries.ts';

let told: ToldEntries;

beforeEach(() => {
  told = new ToldEntries();
});

function entry(at: number, message: string): SandboxLogEntry {
  return { timestamp: new Date(at), level: 'info', message, fields: {} };
}

test('each is new once, also where several have one time', () => {
  assert.deepEqual(told.add([entry(1, 'a'), entry(2, 'b')]), [entry(1, 'a'), entry(2, 'b')]);
  assert.deepEqual(told.start, new Date(2));
  assert.deepEqual(told.add([entry(2, 'b'), entry(2, 'c')]), [entry(2, 'c')]);
  assert.deepEqual(told.add([entry(2, 'b'), entry(2, 'c')]), []);
});

test('an answer without any moves nothing', () => {
  assert.deepEqual(told.add([]), []);
  assert.equal(told.start, undefined);
  told.add([entry(1, 'a')]);
  told.add([]);
  assert.deepEqual(told.start, new Date(1));
});

test('what was not seen before a pause is told after the resumption', () => {
  told.add([entry(1, 'a'), entry(5, 'sandbox paused')]);
  told.add([entry(5, 'sandbox paused'), entry(9, 'sandbox resumed')]);
  assert.equal(told.start, undefined, 'everything is asked for');
  const all = [entry(1, 'a'), entry(4, 'b'), entry(5, 'sandbox paused'), entry(9, 'sandbox resumed')];
  assert.deepEqual(told.add(all), [entry(4, 'b')]);
  assert.deepEqual(told.start, new Date(9));
});

test('what is remembered is bounded', () => {
  for (let at = 0; at < 6000; at++) told.add([entry(at, 'one')]);
  assert.deepEqual(told.add([entry(999, 'one'), entry(5999, 'one')]), [entry(999, 'one')]);
});
