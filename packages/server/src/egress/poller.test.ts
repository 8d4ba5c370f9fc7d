// Readiness of descriptors, told by the kernel to the loop of Node.
import assert from 'node:assert/strict';
import { closeSync, readSync, writeSync } from 'node:fs';
import { test } from 'node:test';
import { loadKoffi } from '@sandport/native/koffi';
import { waitUntil } from '../gateway/testing/wait-until.ts';
import { Ready, sharedPoller, type Watcher } from './poller.ts';

/** fcntl.h */
const O_NONBLOCK = 0o4000;
const pipe2 = loadKoffi().load(null).func('int pipe2(_Out_ int *ends, int flags)');

interface Pipe extends Disposable {
  readonly read: number;
  readonly write: number;
}

function openPipe(): Pipe {
  const ends = new Int32Array(2);
  assert.equal(pipe2(ends, O_NONBLOCK), 0);
  const [read, write] = ends as unknown as [number, number];
  const close = (): void => {
    sharedPoller().remove(read, { closes: true });
    closeSync(read);
    closeSync(write);
  };
  return { read, write, [Symbol.dispose]: close };
}

function watcher(ready: () => void): Watcher {
  return { ready, failed: () => {} };
}

test('events are told once each time they come up, or as long as they last', async () => {
  using once = openPipe();
  using lasting = openPipe();
  let onces = 0;
  let lastings = 0;
  sharedPoller().add(
    once.read,
    Ready.read,
    watcher(() => onces++),
  );
  sharedPoller().add(
    lasting.read,
    Ready.read,
    watcher(() => lastings++),
    { repeats: true },
  );
  writeSync(once.write, 'x');
  writeSync(lasting.write, 'x');
  await waitUntil(() => lastings >= 20, 'repetitions');
  assert.equal(onces, 1);
  writeSync(once.write, 'x');
  await waitUntil(() => onces === 2, 'the second event');
  sharedPoller().change(once.read, Ready.read);
  await waitUntil(() => onces === 3, 'what is there already');
});

test('promises go on between turns', async () => {
  using one = openPipe();
  const order: string[] = [];
  const ready = (): void => {
    order.push('event');
    void Promise.resolve().then(() => order.push('promise'));
    if (order.length > 6) sharedPoller().remove(one.read, { closes: false });
  };
  sharedPoller().add(one.read, Ready.read, watcher(ready), { repeats: true });
  writeSync(one.write, 'x');
  await waitUntil(() => order.length >= 8, 'four turns');
  assert.deepEqual(order.slice(0, 8), Array.from({ length: 4 }, () => ['event', 'promise']).flat());
});

test('what was ready for one watcher of a number is not told to the next', async () => {
  using first = openPipe();
  using second = openPipe();
  const told: string[] = [];
  // Both are ready in the same turn; whichever is told first puts another watcher in the place of the other.
  let replaced: Pipe | undefined;
  const replace = (other: Pipe): Watcher =>
    watcher(() => {
      told.push('one');
      replaced = other;
      sharedPoller().remove(other.read, { closes: false });
      readSync(other.read, Buffer.alloc(1));
      const next = watcher(() => told.push('next'));
      sharedPoller().add(other.read, Ready.read, next);
    });
  sharedPoller().add(first.read, Ready.read, replace(second));
  sharedPoller().add(second.read, Ready.read, replace(first));
  writeSync(first.write, 'x');
  writeSync(second.write, 'x');
  await waitUntil(() => told.length > 0, 'the event');
  using third = openPipe();
  let turns = 0;
  sharedPoller().add(
    third.read,
    Ready.read,
    watcher(() => turns++),
  );
  sharedPoller().again(third.read);
  await waitUntil(() => turns > 0, 'another turn');
  assert.deepEqual(told, ['one']);
  writeSync(replaced!.write, 'x');
  await waitUntil(() => told.includes('next'), 'the event of the next one');
});

test('one that throws keeps no other from its turn', async () => {
  using bad = openPipe();
  using good = openPipe();
  const uncaught = Promise.withResolvers<Error>();
  process.setUncaughtExceptionCaptureCallback(uncaught.resolve);
  try {
    let turns = 0;
    let failures = 0;
    const throwing = (): void => {
      throw new Error('out of order');
    };
    sharedPoller().add(bad.read, Ready.read, { ready: throwing, failed: () => failures++ });
    sharedPoller().add(
      good.read,
      Ready.read,
      watcher(() => turns++),
    );
    writeSync(bad.write, 'x');
    writeSync(good.write, 'x');
    assert.equal((await uncaught.promise).message, 'out of order');
    assert.equal(failures, 1);
    await waitUntil(() => turns === 1, 'the other one');
    writeSync(good.write, 'x');
    await waitUntil(() => turns === 2, 'a turn later');
  } finally {
    process.setUncaughtExceptionCaptureCallback(null);
  }
});

test('those who always have something to do leave others of the process their turn, and take turns among themselves', async () => {
  await using resources = new AsyncDisposableStack();
  const turns = Array.from({ length: 50 }, () => 0);
  let others = 0;
  const other = setInterval(() => others++, 1);
  resources.defer(() => clearInterval(other));
  for (const index of turns.keys()) {
    const pipe = resources.use(openPipe());
    const busy = watcher(() => {
      turns[index]!++;
      for (const until = performance.now() + 1; performance.now() < until; );
      sharedPoller().again(pipe.read);
    });
    sharedPoller().add(pipe.read, Ready.read, busy);
    writeSync(pipe.write, 'x');
  }
  await waitUntil(() => turns.every((count) => count >= 3), 'three turns of each');
  const all = turns.reduce((sum, count) => sum + count, 0);
  assert(Math.max(...turns) <= Math.min(...turns) + 1, turns.join(' '));
  assert(others >= all / 20, `${others} turns of others beside ${all}`);
});
