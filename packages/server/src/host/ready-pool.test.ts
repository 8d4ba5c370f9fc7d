import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { ReadyPool } from './ready-pool.ts';

/** Numbers from 1 on, made when the test says so or at once. */
class Maker {
  made = 0;
  readonly destroyed: number[] = [];
  readonly errors: unknown[] = [];
  gate: Promise<void> | undefined;
  failure: Error | undefined;

  pool(size: number): ReadyPool<number> {
    return new ReadyPool<number>({
      size,
      make: async () => {
        const number = ++this.made;
        await this.gate;
        if (this.failure !== undefined) throw this.failure;
        return number;
      },
      destroy: async (item) => void this.destroyed.push(item),
      onError: (error) => void this.errors.push(error),
    });
  }
}

test('as many as asked for are made ahead, and one that is taken is replaced', async () => {
  const maker = new Maker();
  const pool = maker.pool(3);
  pool.fill();
  await turn();
  assert.equal(maker.made, 3);
  assert.equal(await pool.take(), 1);
  await turn();
  assert.equal(maker.made, 4);
  await pool.close();
  assert.deepEqual(maker.destroyed.sort(), [2, 3, 4]);
});

test('one that is ready is had without waiting for its replacement', async () => {
  const maker = new Maker();
  const pool = maker.pool(1);
  pool.fill();
  await turn();
  const gate = Promise.withResolvers<void>();
  maker.gate = gate.promise;
  assert.equal(await pool.take(), 1);
  gate.resolve();
  await pool.close();
});

test('when none is ready each taker gets one of its own', async () => {
  const maker = new Maker();
  const pool = maker.pool(2);
  const taken = await Promise.all([pool.take(), pool.take(), pool.take(), pool.take()]);
  assert.equal(new Set(taken).size, 4);
  await turn();
  await pool.close();
  assert.equal(new Set([...taken, ...maker.destroyed]).size, 6);
});

test('a failure to make is told, tried again after a second, and stops no taker that succeeds', async (context) => {
  context.mock.timers.enable({ apis: ['setTimeout'] });
  const maker = new Maker();
  const pool = maker.pool(2);
  maker.failure = new Error('no more slots');
  pool.fill();
  await turn();
  assert.deepEqual(maker.errors, [maker.failure]);
  maker.failure = undefined;
  context.mock.timers.tick(999);
  await turn();
  assert.equal(maker.made, 1);
  context.mock.timers.tick(1);
  await turn();
  assert.equal(maker.made, 3);
  assert.equal(await pool.take(), 2);
  await turn();
  await pool.close();
});

test('a taker is told of the failure to make one for it', async (context) => {
  context.mock.timers.enable({ apis: ['setTimeout'] });
  const maker = new Maker();
  const pool = maker.pool(0);
  maker.failure = new Error('no more slots');
  await assert.rejects(pool.take(), maker.failure);
  await pool.close();
});

test('what is being made when the pool closes is destroyed too, and nothing is made after', async (context) => {
  context.mock.timers.enable({ apis: ['setTimeout'] });
  const maker = new Maker();
  const gate = Promise.withResolvers<void>();
  maker.gate = gate.promise;
  const pool = maker.pool(3);
  pool.fill();
  const closed = pool.close();
  gate.resolve();
  await closed;
  assert.deepEqual(maker.destroyed, [1]);
  pool.fill();
  context.mock.timers.tick(10_000);
  await turn();
  assert.equal(maker.made, 1);
});

test('a closed pool does not try again after a failure', async (context) => {
  context.mock.timers.enable({ apis: ['setTimeout'] });
  const maker = new Maker();
  maker.failure = new Error('no more slots');
  const pool = maker.pool(1);
  pool.fill();
  await turn();
  assert.equal(maker.errors.length, 1);
  await pool.close();
  context.mock.timers.tick(10_000);
  await turn();
  assert.equal(maker.made, 1);
});
