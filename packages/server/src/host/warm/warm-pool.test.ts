import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { WarmPool } from './warm-pool.ts';

/** More than the pool waits after a start. */
const QUIET_MS = 200;

let pool: WarmPool<number>;
let made: number;
let failure: Error | undefined;
const destroyed: number[] = [];
const ended = new Set<number>();
const errors: unknown[] = [];

function open(least: number, most: number): void {
  made = 0;
  failure = undefined;
  for (const list of [destroyed, errors]) list.length = 0;
  ended.clear();
  pool = new WarmPool({
    bounds: { least, most },
    make: async () => {
      if (failure !== undefined) throw failure;
      return ++made;
    },
    destroy: async (item) => void destroyed.push(item),
    isUsable: (item) => !ended.has(item),
    onError: (error) => void errors.push(error),
  });
  pool.adjust();
}

afterEach(() => pool.close());

test('the least are made ahead, handed out oldest first, and replaced a moment after nobody waits', async (context) => {
  context.mock.timers.enable({ apis: ['setTimeout'] });
  open(2, 5);
  await turn();
  assert.equal(made, 2);
  {
    using _start = pool.hold();
    assert.equal(await pool.take(), 1);
    await turn();
    context.mock.timers.tick(QUIET_MS);
    await turn();
    assert.equal(made, 2, 'none is made while somebody waits for a start');
  }
  await turn();
  assert.equal(made, 2, 'none is made while the first command starts');
  context.mock.timers.tick(QUIET_MS);
  await turn();
  assert.equal(made, 3);
});

test('an empty pool is no error: there is none to be had', async () => {
  open(0, 0);
  await turn();
  assert.equal(await pool.take(), undefined);
  assert.equal(made, 0);
});

test('a burst makes it grow up to its most', async (context) => {
  context.mock.timers.enable({ apis: ['setTimeout'] });
  open(1, 3);
  await turn();
  {
    using _start = pool.hold();
    for (let i = 0; i < 10; i++) await pool.take();
  }
  context.mock.timers.tick(QUIET_MS);
  await turn();
  assert.equal(made - 1, 3);
});

test('one that has ended is not handed out, and is destroyed', async () => {
  open(3, 3);
  await turn();
  ended.add(1).add(2);
  using _start = pool.hold();
  assert.equal(await pool.take(), 3);
  assert.deepEqual(destroyed, [1, 2]);
});

test('a failure is told and tried again later, each time later', async (context) => {
  context.mock.timers.enable({ apis: ['setTimeout'] });
  open(1, 1);
  await turn();
  assert.equal(await pool.take(), 1);
  failure = new Error('no more slots');
  pool.adjust();
  await turn();
  assert.deepEqual(errors, [failure]);
  context.mock.timers.tick(1000);
  await turn();
  assert.equal(errors.length, 1);
  context.mock.timers.tick(1001);
  await turn();
  assert.equal(errors.length, 2);
  failure = undefined;
  context.mock.timers.tick(4001);
  await turn();
  assert.equal(made, 2);
});

test('what is ready ends with the pool, and nothing is made afterwards', async () => {
  open(2, 2);
  await turn();
  await pool.close();
  assert.deepEqual(destroyed, [1, 2]);
  pool.adjust();
  await turn();
  assert.equal(made, 2);
});

test('whoever finds none ready gets the one that is being made, and the next gets none', async (context) => {
  context.mock.timers.enable({ apis: ['setTimeout'] });
  let finish = (_item: number): void => {};
  pool = new WarmPool({
    bounds: { least: 1, most: 1 },
    make: () =>
      new Promise((resolve) => {
        finish = resolve;
      }),
    destroy: async (item) => void destroyed.push(item),
    isUsable: () => true,
    onError: () => {},
  });
  destroyed.length = 0;
  pool.adjust();
  {
    using _start = pool.hold();
    const taken = pool.take();
    assert.equal(await pool.take(), undefined);
    finish(7);
    assert.equal(await taken, 7);
  }
  await turn();
  context.mock.timers.tick(QUIET_MS);
  finish(8);
  await pool.close();
  assert.deepEqual(destroyed, [8]);
});

test('what is being made when the pool closes ends too', async () => {
  const gate = Promise.withResolvers<number>();
  pool = new WarmPool({
    bounds: { least: 1, most: 1 },
    make: () => gate.promise,
    destroy: async (item) => void destroyed.push(item),
    isUsable: () => true,
    onError: () => {},
  });
  destroyed.length = 0;
  pool.adjust();
  const closed = pool.close();
  gate.resolve(7);
  await closed;
  assert.deepEqual(destroyed, [7]);
});
