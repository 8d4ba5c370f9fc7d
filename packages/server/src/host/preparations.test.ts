import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Preparations } from './preparations.ts';

function preparations() {
  const destroyed: string[] = [];
  const errors: unknown[] = [];
  const all = new Preparations<string>({
    destroy: async (item) => void destroyed.push(item),
    onError: (error) => errors.push(error),
  });
  return { all, destroyed, errors };
}

test('what was prepared is for one, and only for the snapshot that it was prepared for', async () => {
  const { all, destroyed } = preparations();
  all.begin('a', async () => 'place');
  assert.equal(await all.take('b'), undefined);
  const [first, second] = await Promise.all([all.take('a'), all.take('a')]);
  assert.equal(first, 'place');
  assert.equal(second, undefined);
  await all.end('a');
  assert.deepEqual(destroyed, [], 'it is in use');
});

test('what nobody took is ended with its snapshot, also while it is still being made', async () => {
  const { all, destroyed } = preparations();
  const made = Promise.withResolvers<string>();
  all.begin('a', () => made.promise);
  const ended = all.end('a');
  made.resolve('late');
  await ended;
  all.begin('b', async () => 'at the close');
  await all.close();
  assert.deepEqual(destroyed, ['late', 'at the close']);
});

test('a failure is told, and whoever asks has to make its own', async () => {
  const { all, destroyed, errors } = preparations();
  all.begin('a', async () => {
    throw new Error('no slot');
  });
  assert.equal(await all.take('a'), undefined);
  await all.end('a');
  assert.deepEqual(destroyed, []);
  assert.match(String(errors[0]), /no slot/);
});
