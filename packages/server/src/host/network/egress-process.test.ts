import assert from 'node:assert/strict';
import { globSync } from 'node:fs';
import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { findProcesses, type ProcessIdentity, signal } from '../../process-identity.ts';
import { OPEN } from './egress-policy.ts';
import { EgressProcess } from './egress-process.ts';

const needsRoot = {
  skip: process.getuid?.() === 0 ? false : 'the process takes another user: needs root',
  timeout: 60_000,
};
const ADDRESS = '198.19.248.1';

async function startProcess(context: TestContext): Promise<{
  readonly egress: EgressProcess;
  readonly running: () => ProcessIdentity | undefined;
  readonly compileCache: string;
}> {
  const directory = await mkdtempDisposable(join(tmpdir(), 'sandport-egress-'));
  const socketPath = join(directory.path, 'egress.sock');
  const compileCache = join(directory.path, 'compiled');
  const egress = new EgressProcess({
    socketPath,
    logPath: join(directory.path, 'egress.log'),
    settings: { nameservers: [], permitted: [], uid: 60_578, maxConnections: 10 },
    compileCache,
    onPorts: async () => {},
    onError: () => {},
  });
  context.after(async () => {
    await egress.stop({ keep: false });
    await directory[Symbol.asyncDispose]();
  });
  await egress.start([]);
  return { egress, running: () => findProcesses((args) => args.includes(socketPath))[0], compileCache };
}

test('what it was compiled to is kept for the next, before it runs as nobody', needsRoot, async (context) => {
  const { compileCache } = await startProcess(context);
  assert(globSync('*/*', { cwd: compileCache }).length > 10);
});

test('rules that a process does not take before it ends are those of the next', needsRoot, async (context) => {
  const { egress, running } = await startProcess(context);
  const first = running()!;
  // So that it takes nothing any more.
  signal(first, 'SIGSTOP');
  const set = egress.set({ address: ADDRESS, policy: { ...OPEN, domains: ['example.com'] } });
  signal(first, 'SIGKILL');
  await set;
  assert.notEqual(running()?.pid, first.pid);
  assert.notEqual(await egress.report(ADDRESS, []), undefined, 'it knows the sandbox');
});

test(
  'a process that takes no rules any more is replaced, and does not go on with old ones',
  needsRoot,
  async (context) => {
    const { egress, running } = await startProcess(context);
    const first = running()!;
    signal(first, 'SIGSTOP');
    await egress.set({ address: ADDRESS, policy: OPEN });
    assert.notEqual(running()?.pid, first.pid);
    assert.notEqual(await egress.report(ADDRESS, []), undefined);
  },
);
