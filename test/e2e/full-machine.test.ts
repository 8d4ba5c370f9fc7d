// A machine without room for more: what is asked for is refused with the reason, before anything is touched.
import assert from 'node:assert/strict';
import { rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { RateLimitError, Sandbox } from 'e2b';
import { Sandbox as OwnSandbox } from 'sandport';
import { runtimes } from '../support/machine.ts';
import { SandportServer } from '../support/sandport-server.ts';
import { waitFor } from '../support/wait-for.ts';

/** While it is there, the server finds so many bytes of memory left on the machine. */
const memoryFile = join(tmpdir(), `sandport-memory-${process.pid}`);
const pretend = `
  import { readFileSync } from 'node:fs';
  const real = process.availableMemory;
  process.availableMemory = () => {
    try { return Number(readFileSync(${JSON.stringify(memoryFile)}, 'utf8')); } catch { return real.call(process); }
  };`;

describe('a full machine', { skip: !runtimes.includes('runsc') && 'needs a runtime that keeps memory' }, () => {
  let server: SandportServer;

  before(async () => {
    const NODE_OPTIONS = `--import=data:text/javascript;base64,${Buffer.from(pretend).toString('base64')}`;
    server = await SandportServer.start('runsc', ['--warm', '0', '--max-snapshots', '1'], { env: { NODE_OPTIONS } });
  });
  after(async () => {
    await rm(memoryFile, { force: true });
    assert.deepEqual(await server.stop(), []);
  });

  /** Whether a connection that is open now is still the same after `task`. */
  async function keepsConnection(sandbox: Sandbox, task: () => Promise<void>): Promise<void> {
    const cat = await sandbox.commands.run('cat', { background: true, stdin: true });
    await task();
    await sandbox.commands.sendStdin(cat.pid, 'still here');
    await sandbox.commands.closeStdin(cat.pid);
    assert.equal((await cat.wait()).stdout, 'still here');
  }

  test('without memory for one more sandbox, none is created or forked, and those that run go on', async () => {
    const { options } = server;
    const sandbox = await Sandbox.create(options);
    await writeFile(memoryFile, `${100 * 1024 * 1024}`);
    const full = { code: 'capacity_exhausted', message: /the machine is full: its memory has 100 MiB left/ };
    await keepsConnection(sandbox, async () => {
      await assert.rejects(OwnSandbox.create(options), full);
      await assert.rejects(OwnSandbox.fork(sandbox.sandboxId, options), full);
    });
    assert.deepEqual(
      (await Sandbox.list(options).nextItems()).map(({ sandboxId }) => sandboxId),
      [sandbox.sandboxId],
    );
    const events = await OwnSandbox.listEvents(options);
    assert.deepEqual(
      events.map(({ type }) => type),
      ['created'],
    );
    assert.match(server.log(), /its memory has 100 MiB left/, 'the operator is told');
    await rm(memoryFile);
    const other = await Sandbox.create(options);
    assert.equal((await other.commands.run('echo room')).stdout, 'room\n');
    await Promise.all([sandbox.kill(), other.kill()]);
  });

  test('one snapshot more than allowed is refused until another is deleted', async () => {
    const { options } = server;
    const sandbox = await Sandbox.create(options);
    const first = await sandbox.createSnapshot({ name: 'one' });
    await keepsConnection(sandbox, async () => {
      await assert.rejects(sandbox.createSnapshot(), RateLimitError);
      const most = { code: 'too_many_snapshots', message: /there are 1 snapshots already/ };
      await assert.rejects(OwnSandbox.createSnapshot(sandbox.sandboxId, { ...options, name: 'one' }), most);
    });
    // What a paused sandbox is paused to, and what forks start from, is not among them.
    await sandbox.pause();
    await sandbox.connect();
    const [fork] = await sandbox.fork();
    assert(fork instanceof Sandbox, String(fork));
    await fork.kill();
    assert.equal(await Sandbox.deleteSnapshot(first.snapshotId, options), true);
    const second = await sandbox.createSnapshot();
    await sandbox.kill();
    assert.equal(await Sandbox.deleteSnapshot(second.snapshotId, options), true);
    await waitFor('none is left', async () => (await Sandbox.listSnapshots(options).nextItems()).length === 0);
  });
});
