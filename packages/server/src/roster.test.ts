import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { Roster } from './roster.ts';

const KEY = Symbol('place');
const members = (count: number) => Array.from({ length: count }, (_, number) => ({ number }));
const numbers = (roster: Roster<{ number: number }>) => [...roster].map(({ number }) => number).sort((a, b) => a - b);

test('it has those who came and have not left, each once', () => {
  const roster = new Roster<{ number: number }>(KEY);
  const all = members(100);
  for (const one of [...all, ...all]) roster.add(one);
  assert.equal(roster.size, 100);
  const gone = all.filter(({ number }) => number % 3 === 0 || number > 90);
  for (const one of gone) assert.equal(roster.delete(one), true);
  for (const one of gone) assert.equal(roster.delete(one), false);
  const left = all.filter((one) => !gone.includes(one));
  assert.deepEqual(
    numbers(roster),
    left.map(({ number }) => number),
  );
  for (const one of all) assert.equal(roster.has(one), !gone.includes(one));
  for (const one of gone) roster.add(one);
  assert.equal(roster.size, 100);
  roster.clear();
  assert.deepEqual([roster.size, numbers(roster), roster.has(all[0]!)], [0, [], false]);
});

test('a member of one is none of another with the same key', () => {
  const [one, other] = [new Roster<object>(KEY), new Roster<object>(KEY)];
  const [member, resident] = [{}, {}];
  one.add(member);
  other.add(resident);
  assert.deepEqual([other.has(member), other.delete(member), one.size, other.size], [false, false, 1, 1]);
});

test('whoever leaves while all are looked at is not looked at any more, and nobody who stays is left out', () => {
  const roster = new Roster<{ number: number }>(KEY);
  const all = members(10);
  for (const one of all) roster.add(one);
  const seen = new Set<number>();
  const left = new Set<number>();
  for (const one of roster) {
    assert(!left.has(one.number));
    seen.add(one.number);
    for (const neighbour of [one.number, one.number - 1, one.number + 3]) {
      if (neighbour % 2 === 0 || !roster.delete(all[neighbour] ?? { number: -1 })) continue;
      left.add(neighbour);
      if (neighbour < 5) roster.add({ number: 1000 + neighbour });
    }
  }
  assert.equal(left.size, 5);
  for (const { number } of all) if (!left.has(number)) assert(seen.has(number), `${number}`);
});

test('what has left is not kept alive by those who come after', async () => {
  // Eight at a time, each with some memory; what is there when all of the heap is looked through is old from then on.
  const program = `
    const { Roster } = await import(${JSON.stringify(new URL('roster.ts', import.meta.url).href)});
    const { getHeapStatistics } = await import('node:v8');
    const roster = new Roster(Symbol('place'));
    const present = [];
    let most = 0;
    for (let n = 0; n < 400_000; n++) {
      const member = { load: new Array(100).fill(n) };
      roster.add(member);
      present.push(member);
      if (present.length > 8) roster.delete(present.shift());
      if (n === 10_000) globalThis.gc();
      if (n % 1000 === 0) {
        await new Promise((resolve) => setImmediate(resolve));
        most = Math.max(most, getHeapStatistics().used_heap_size);
      }
    }
    console.log(most);`;
  const { stdout } = await promisify(execFile)(process.execPath, [
    '--expose-gc',
    '--max-semi-space-size=2',
    '--input-type=module',
    '--eval',
    program,
  ]);
  assert(Number(stdout) < 30_000_000, stdout);
});
