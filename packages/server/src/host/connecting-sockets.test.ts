import assert from 'node:assert/strict';
import { mock, test } from 'node:test';
import { untilNoneConnects } from './connecting-sockets.ts';

/** Looks that find these, one after the other, and then the last of them for ever. */
function looks(...found: readonly string[][]): { look: () => Promise<readonly string[]>; count: () => number } {
  let count = 0;
  return { look: async () => found[Math.min(count++, found.length - 1)]!, count: () => count };
}

test('where no connection is being made there is no wait', async () => {
  const { look, count } = looks([]);
  await untilNoneConnects('198.18.0.4', 'token', look);
  assert.equal(count(), 1);
});

test('what is being made is waited for, and what begins meanwhile is not', async () => {
  const { look, count } = looks(['a', 'b'], ['b', 'c'], ['b', 'd'], ['c', 'd']);
  await untilNoneConnects('198.18.0.4', 'token', look);
  assert.equal(count(), 4);
});

test('one that nobody answers ends the wait with a reason', async () => {
  let now = 0;
  const clock = mock.method(performance, 'now', () => (now += 10_000));
  try {
    const { look } = looks(['a']);
    await assert.rejects(untilNoneConnects('198.18.0.4', 'token', look), /waits for a connection that nobody answers/);
  } finally {
    clock.mock.restore();
  }
});

test('an agent that does not answer is not waited for', async () => {
  // Nothing listens at the agent's port of this machine's loopback.
  await untilNoneConnects('127.0.0.1', 'token');
});
