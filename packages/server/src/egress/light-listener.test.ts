// Connections are accepted on their descriptors, and none is lost where there is no room for more.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { test } from 'node:test';
import { loadKoffi } from '@sandport/native/koffi';
import { waitUntil } from '../gateway/testing/wait-until.ts';
import { LightListener } from './light-listener.ts';
import type { LightSocket } from './light-socket.ts';

/** sys/resource.h */
const RLIMIT_NOFILE = 7;
const library = loadKoffi().load(null);
const getrlimit = library.func('int getrlimit(int resource, _Out_ void *limit)');
const setrlimit = library.func('int setrlimit(int resource, const void *limit)');

/** Returns how many there could be before. */
function limitDescriptors(most: bigint): bigint {
  const limit = new BigUint64Array(2);
  assert.equal(getrlimit(RLIMIT_NOFILE, limit), 0);
  const before = limit[0]!;
  limit[0] = most;
  assert.equal(setrlimit(RLIMIT_NOFILE, limit), 0);
  return before;
}

/** Below which so many descriptors are free. */
function firstNumbers(free: number): number {
  const open = new Set(readdirSync('/proc/self/fd').map(Number));
  let end = 0;
  for (let found = 0; found < free; end++) if (!open.has(end)) found++;
  return end;
}

test('connections wait while there are no descriptors for them, and the processor rests', async ({ mock }) => {
  const accepted: LightSocket[] = [];
  await using resources = new AsyncDisposableStack();
  const listener = new LightListener('127.0.0.1', 0, (socket) => void accepted.push(socket));
  resources.defer(() => listener.close());
  const told = mock.method(listener, 'ready').mock;
  resources.defer(() => {
    for (const socket of accepted) socket.destroy();
  });
  const script = `
    const sockets = Array.from({ length: 10 }, () => require('node:net').connect(${listener.port}, '127.0.0.1'));
    process.stdin.on('end', () => process.exit()).resume();
    Promise.all(sockets.map((one) => new Promise((done) => one.on('connect', done)))).then(() => console.log('all'));`;
  const clients = spawn(process.execPath, ['-e', script], { stdio: ['pipe', 'pipe', 'inherit'] });
  resources.defer(async () => {
    clients.stdin.end();
    await once(clients, 'close');
  });
  const before = limitDescriptors(BigInt(firstNumbers(4)));
  try {
    await once(clients.stdout, 'data');
    await waitUntil(() => accepted.length > 0, 'the first');
    // From now on it finds no room, time and again.
    const tries = told.callCount();
    let looks = 0;
    await waitUntil(() => ++looks > 20 && told.callCount() > tries + 1, 'two more tries');
    assert(accepted.length < 10, `${accepted.length} were accepted`);
    // One that does not rest tries a thousand times between two looks.
    assert(told.callCount() < tries + 10 * looks, `${told.callCount() - tries} tries in ${looks} looks`);
    accepted.shift()!.destroy();
  } finally {
    limitDescriptors(before);
  }
  await waitUntil(() => accepted.length === 9, 'the others');
});

test('a port that is taken is refused with what is the matter', () => {
  const listener = new LightListener('127.0.0.1', 0, () => {});
  try {
    assert.throws(() => new LightListener('127.0.0.1', listener.port, () => {}), /EADDRINUSE/);
  } finally {
    listener.close();
  }
});
