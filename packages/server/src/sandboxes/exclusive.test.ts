import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Exclusive } from './exclusive.ts';

test('operations on one key go one after the other, in order, and a failed one does not stop the next', async () => {
  const exclusive = new Exclusive();
  const seen: string[] = [];
  const first = Promise.withResolvers<void>();
  const runs = [
    exclusive.run('a', async () => {
      seen.push('first starts');
      await first.promise;
      seen.push('first ends');
      throw new Error('failed');
    }),
    exclusive.run('a', async () => seen.push('second')),
    exclusive.run('b', async () => seen.push('other key')),
  ];
  await runs[2];
  assert.deepEqual(seen, ['first starts', 'other key']);
  first.resolve();
  await assert.rejects(runs[0]!, /failed/);
  await runs[1];
  assert.deepEqual(seen, ['first starts', 'other key', 'first ends', 'second']);
});

test('idle waits for what is queued meanwhile', async () => {
  const exclusive = new Exclusive();
  let done = 0;
  void exclusive.run('a', async () => {
    void exclusive.run('a', async () => {
      done++;
    });
    done++;
  });
  await exclusive.idle();
  assert.equal(done, 2);
});
