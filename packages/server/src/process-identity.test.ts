import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { copyFile, mkdtempDisposable, readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { findProcesses, identify, isRunning, signal, untilGone } from './process-identity.ts';

async function start(
  context: TestContext,
  program: string,
  args: readonly string[],
): Promise<ChildProcess & { pid: number }> {
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'ignore'] });
  context.after(() => child.kill('SIGKILL'));
  await once(child, 'spawn');
  return child as ChildProcess & { pid: number };
}

test('a process runs until it has ended', async (context) => {
  const child = await start(context, 'sleep', ['60']);
  const identity = identify(child.pid)!;
  assert.equal(identity.pid, child.pid);
  assert(isRunning(identity));
  child.kill('SIGKILL');
  await once(child, 'exit');
  assert(!isRunning(identity));
  assert.equal(identify(child.pid), undefined);
});

test('a zombie does not run', { timeout: 10_000 }, async (context) => {
  // A shell that becomes "sleep" has a child that nobody waits for.
  const parent = await start(context, 'sh', ['-c', 'sleep 0 & echo $!; exec sleep 60']);
  const [said] = (await once(parent.stdout!, 'data')) as [Buffer];
  const pid = Number(String(said));
  while (!/^State:\s+Z/m.test(await readFile(`/proc/${pid}/status`, 'utf8'))) await delay(5);
  assert.equal(identify(pid), undefined);
});

test('a process may have any name, also one that looks like the state of a zombie', async (context) => {
  await using root = await mkdtempDisposable(join(tmpdir(), 'sandport-process-'));
  const program = join(root.path, 'a) Z (b');
  await copyFile('/bin/sleep', program);
  const child = await start(context, program, ['60']);
  assert.match(await readFile(`/proc/${child.pid}/stat`, 'utf8'), /\(a\) Z \(b\)/);
  const identity = identify(child.pid);
  assert.match(identity?.startTime ?? '', /^\d+$/);
  child.kill('SIGKILL');
  await once(child, 'exit');
});

test('another process with the same ID is not taken for it, and gets no signal', async (context) => {
  const child = await start(context, 'sleep', ['60']);
  const { pid, startTime } = identify(child.pid)!;
  const before = { pid, startTime: String(Number(startTime) - 1) };
  assert(!isRunning(before));
  signal(before, 'SIGKILL');
  assert(isRunning({ pid, startTime }));
  signal({ pid, startTime }, 'SIGTERM');
  const [, name] = await once(child, 'exit');
  assert.equal(name, 'SIGTERM');
  signal({ pid, startTime }, 'SIGTERM');
});

test('IDs that no process has are not running', () => {
  for (const pid of [0, -1, 2 ** 31, Number.NaN]) assert.equal(identify(pid), undefined, `${pid}`);
});

test('waiting ends with the last of the processes, or returns those that are left', {
  timeout: 10_000,
}, async (context) => {
  const [one, two] = [await start(context, 'sleep', ['60']), await start(context, 'sleep', ['60'])];
  const processes = [identify(one.pid)!, identify(two.pid)!];
  one.kill('SIGKILL');
  await once(one, 'exit');
  assert.deepEqual(await untilGone(processes, 50), [processes[1]]);
  const gone = untilGone(processes, 60_000);
  two.kill('SIGKILL');
  assert.deepEqual(await gone, []);
});

test('processes are found by their arguments', async (context) => {
  const mark = `x${randomUUID()}`;
  const child = await start(context, process.execPath, ['--eval', 'setInterval(() => {}, 1000)', mark]);
  assert.deepEqual(
    findProcesses((args) => args.includes(mark)),
    [identify(child.pid)],
  );
  child.kill('SIGKILL');
  await once(child, 'exit');
  assert.deepEqual(
    findProcesses((args) => args.includes(mark)),
    [],
  );
});
