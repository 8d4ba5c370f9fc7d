import assert from 'node:assert/strict';
import { test } from 'node:test';
import { untilDone } from './until-done.ts';

test('a task that fails is repeated until it succeeds', async () => {
  const errors: unknown[] = [];
  let calls = 0;
  const done = await untilDone(
    async () => {
      if (++calls < 2) throw new Error('busy');
    },
    (error) => errors.push(error),
    new AbortController().signal,
  );
  assert.deepEqual([done, calls, errors.length], [true, 2, 1]);
});

test('the end cuts a pause short, and it is tried once more', async () => {
  const closing = new AbortController();
  let calls = 0;
  const done = untilDone(
    () => Promise.reject(new Error(`busy ${++calls}`)),
    () => setImmediate(() => closing.abort()),
    closing.signal,
  );
  assert.equal(await done, false);
  assert.equal(calls, 2);
});
