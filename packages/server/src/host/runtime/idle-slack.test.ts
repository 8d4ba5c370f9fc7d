import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { afterEach, beforeEach, test } from 'node:test';
import { identify, type ProcessIdentity } from '../../process-identity.ts';
import { IdleSlack } from './idle-slack.ts';

const DEFAULT = 50_000;

let child: ChildProcess;
let kernel: ProcessIdentity;
let now: number;
let slack: IdleSlack;

/** A process of several threads that works for as many milliseconds as it is told on its input, and says when it has. */
const PROGRAM = `process.stdin.on('data', (text) => {
  const end = performance.now() + Number(text);
  while (performance.now() < end);
  process.stdout.write('done');
})`;

beforeEach(async () => {
  child = spawn(process.execPath, ['-e', PROGRAM], { stdio: ['pipe', 'pipe', 'inherit'] });
  await work(1);
  kernel = identify(child.pid!)!;
  now = 0;
  slack = new IdleSlack({ now: () => now, processors: 1 });
});

afterEach(async () => {
  child.kill('SIGKILL');
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
});

async function work(ms: number): Promise<void> {
  child.stdin!.write(String(ms));
  await once(child.stdout!, 'data');
}

/** What the threads have, each value once. */
function slacks(): number[] {
  const threads = readdirSync(`/proc/${kernel.pid}/task`);
  assert(threads.length > 1);
  return [...new Set(threads.map((thread) => Number(readFileSync(`/proc/${thread}/timerslack_ns`, 'utf8'))))];
}

/** Idle processes, which end with the scope. */
async function startMany(count: number): Promise<AsyncDisposable & { readonly kernels: readonly ProcessIdentity[] }> {
  const children = Array.from({ length: count }, () => spawn('sleep', ['600'], { stdio: 'ignore' }));
  await Promise.all(children.map((one) => once(one, 'spawn')));
  return {
    kernels: children.map(({ pid }) => identify(pid!)!),
    async [Symbol.asyncDispose]() {
      await Promise.all(
        children.map((one) => {
          one.kill('SIGKILL');
          return once(one, 'exit');
        }),
      );
    },
  };
}

function pass(ms: number): void {
  now += ms;
  slack.observe([kernel]);
}

test('the longer it is idle, the later its timers may be, in all threads', () => {
  slack.observe([kernel]);
  assert.deepEqual(slacks(), [DEFAULT]);
  pass(4900);
  assert.deepEqual(slacks(), [DEFAULT]);
  pass(200);
  assert.deepEqual(slacks(), [5_000_000]);
  pass(10_000);
  assert.deepEqual(slacks(), [20_000_000]);
  pass(60_000);
  assert.deepEqual(slacks(), [20_000_000]);
});

test('where many are idle their timers may be later still', async () => {
  await using crowd = await startMany(24);
  const all = [kernel, ...crowd.kernels];
  // Where there are many, it is also sooner.
  for (const [ms, slackNs] of [
    [0, DEFAULT],
    [900, DEFAULT],
    [100, 5_000_000],
    [2000, 20_000_000],
    [3000, 100_000_000],
  ] as const) {
    now += ms;
    slack.observe(all);
    assert.deepEqual(slacks(), [slackNs], `${now}`);
  }
  slack.observe(all.slice(0, 10));
  slack.observe(all.slice(0, 10));
  assert.deepEqual(slacks(), [50_000_000]);
  slack.observe([kernel]);
  slack.observe([kernel]);
  assert.deepEqual(slacks(), [5_000_000]);
});

test('one that is about to be used has exact timers at once, and is idle no more', () => {
  slack.observe([kernel]);
  pass(60_000);
  slack.rouse(kernel);
  assert.deepEqual(slacks(), [DEFAULT]);
  pass(4000);
  assert.deepEqual(slacks(), [DEFAULT]);
  slack.rouse(kernel);
  pass(4000);
  assert.deepEqual(slacks(), [DEFAULT]);
  pass(1000);
  assert.deepEqual(slacks(), [5_000_000]);
});

test('work brings exact timers back, and idleness starts anew', async () => {
  slack.observe([kernel]);
  pass(60_000);
  assert.deepEqual(slacks(), [20_000_000]);
  await work(200);
  pass(1000);
  assert.deepEqual(slacks(), [DEFAULT]);
  pass(4000);
  assert.deepEqual(slacks(), [DEFAULT]);
  pass(1000);
  assert.deepEqual(slacks(), [5_000_000]);
});

test('a look that comes late takes nothing for busy that is not', async () => {
  slack.observe([kernel]);
  await work(100);
  pass(6000);
  assert.deepEqual(slacks(), [5_000_000]);
  await work(600);
  pass(6000);
  assert.deepEqual(slacks(), [DEFAULT]);
});

test('one that has ended is no error, and its number may belong to another', async () => {
  slack.observe([kernel]);
  child.kill('SIGKILL');
  await once(child, 'exit');
  pass(10_000);
  slack.rouse(kernel);
  slack.observe([]);
  slack.observe([{ pid: process.pid, startTime: 'another' }]);
  now += 60_000;
  slack.observe([{ pid: process.pid, startTime: identify(process.pid)!.startTime }]);
  assert.equal(Number(readFileSync('/proc/self/timerslack_ns', 'utf8')), DEFAULT);
});
