import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import type { Usage } from '../host/usage.ts';
import type { RunningSandbox } from './sandbox-record.ts';
import { UsageHistory } from './usage-history.ts';

let now: number;
let running: RunningSandbox[];
let cpuNs: number;
let history: UsageHistory;
let outOfMemory: number;
let told: [string, number][];
let failure: Error | undefined;

function sandbox(id: string, container = 'c1'): RunningSandbox {
  return { id, placement: { container }, spec: { limits: { cpuCount: 2 } } } as unknown as RunningSandbox;
}

beforeEach(() => {
  now = 1_800_000_000_000;
  running = [sandbox('a')];
  cpuNs = 0;
  outOfMemory = 0;
  told = [];
  failure = undefined;
  history = new UsageHistory({
    running: () => running,
    isKnown: (id) => id !== 'gone',
    read: async (): Promise<Usage> => {
      if (failure !== undefined) throw failure;
      return { cpuNs, memoryBytes: 3, cacheBytes: 4, diskBytes: 5, outOfMemory };
    },
    onOutOfMemory: (id, processes) => told.push([id, processes]),
    now: () => now,
  });
});

afterEach(() => history[Symbol.dispose]());

test('a first question is answered with now, and a further one soon after with the same', async () => {
  assert.deepEqual(await history.of('a'), [{ at: now, cpuPercent: 0, memoryBytes: 3, cacheBytes: 4, diskBytes: 5 }]);
  now += 900;
  assert.equal((await history.of('a')).length, 1);
  now += 200;
  assert.equal((await history.of('a')).length, 2);
});

test('processor time is that between two samples, of all processors, and never more than all', async () => {
  await history.sampleAll();
  cpuNs += 3600e9;
  await history.sampleAll();
  assert.equal((await history.of('a')).at(-1)?.cpuPercent, 100);
  await history.sampleAll();
  assert.equal((await history.of('a')).at(-1)?.cpuPercent, 0);
});

test('in another container the time begins anew', async () => {
  cpuNs = 1e15;
  await history.sampleAll();
  cpuNs = 5;
  running = [sandbox('a', 'c2')];
  await history.sampleAll();
  assert.equal((await history.of('a')).at(-1)?.cpuPercent, 0);
});

test('half an hour is kept, of those that are known', async () => {
  running = [sandbox('a'), sandbox('gone')];
  for (let i = 0; i < 400; i++) {
    now += 5000;
    await history.sampleAll();
  }
  assert.equal((await history.of('a')).length, 360);
  running = [];
  await history.sampleAll();
  assert.equal((await history.of('a')).length, 360, 'a paused sandbox keeps its own');
  assert.deepEqual(await history.of('gone'), []);
});

test('a sandbox that ends meanwhile has no further sample', async () => {
  await history.sampleAll();
  failure = new Error('ENOENT');
  now += 5000;
  await history.sampleAll();
  assert.equal((await history.of('a')).length, 1);
});

test('processes that ended for want of memory are told once, in whichever container', async () => {
  await history.sampleAll();
  outOfMemory = 2;
  await history.sampleAll();
  await history.sampleAll();
  outOfMemory = 3;
  await history.sampleAll();
  running = [sandbox('a', 'c2')];
  outOfMemory = 1;
  await history.sampleAll();
  assert.deepEqual(told, [
    ['a', 2],
    ['a', 1],
    ['a', 1],
  ]);
});
