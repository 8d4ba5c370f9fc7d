// Containers that are prepared for what comes out of a snapshot: resumptions and forks.
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { Sandbox } from 'sandport';
import { runtimes } from '../support/machine.ts';
import { SandportServer } from '../support/sandport-server.ts';
import { waitFor } from '../support/wait-for.ts';

/** Those in which something was restored or is going to be. */
function prepared({ data }: SandportServer): string[] {
  const directory = join(data, 'bundles');
  return readdirSync(directory).filter(
    (name) => existsSync(join(directory, name, 'create.log')) && pidOf({ data }, name) > 0,
  );
}

function restored({ data }: SandportServer): string[] {
  const directory = join(data, 'bundles');
  return readdirSync(directory).filter((name) => existsSync(join(directory, name, 'restore.log')));
}

/** 0 as long as there is none. */
function pidOf({ data }: Pick<SandportServer, 'data'>, container: string): number {
  const file = join(data, 'bundles', container, 'pid');
  return existsSync(file) ? Number(readFileSync(file, 'utf8')) : 0;
}

/** A paused sandbox with something in its memory. */
async function paused({ options }: SandportServer): Promise<Sandbox> {
  const sandbox = await Sandbox.create(options);
  await sandbox.commands.run('exec -a keeper sleep 1000', { background: true, timeoutMs: 0 });
  await sandbox.pause();
  return sandbox;
}

async function assertKept(sandbox: Sandbox): Promise<void> {
  assert.equal(
    (await sandbox.commands.run('pgrep -f ^keeper | wc -l; echo $SANDPORT_SANDBOX_ID')).stdout,
    `1\n${sandbox.sandboxId}\n`,
  );
}

describe('prepared containers', { skip: !runtimes.includes('runsc') && 'only gVisor keeps memory' }, () => {
  // One server, started again where a test needs other options; each test ends the sandboxes that it made.
  let server: SandportServer;
  before(async () => {
    server = await SandportServer.start('runsc', ['--warm', '1', '--memory', '512']);
  });
  after(async () => {
    assert.deepEqual(await server.stop(), []);
  });

  async function end(...sandboxes: readonly Sandbox[]): Promise<void> {
    await Promise.all(sandboxes.map((sandbox) => sandbox.kill()));
    await waitFor('nothing of them is left', () => restored(server).length === 0);
  }

  async function onlyPrepared(): Promise<string> {
    const [name] = await waitFor('one is prepared', () => prepared(server).length === 1 && prepared(server));
    return name!;
  }

  test('one is prepared after a pause, the resumption goes on in it, and another takes its place', async () => {
    assert.deepEqual(prepared(server), [], 'nothing could be brought back yet');
    const sandbox = await paused(server);
    const first = await onlyPrepared();
    await sandbox.connect();
    assert.deepEqual(restored(server), [first]);
    await assertKept(sandbox);
    await waitFor('another is prepared', () => prepared(server).length === 2);
    await end(sandbox);
  });

  test('one whose kernel has ended is not used, and nobody notices', async () => {
    const sandbox = await paused(server);
    const first = await onlyPrepared();
    process.kill(pidOf(server, first), 'SIGKILL');
    await sandbox.connect();
    assert(!restored(server).includes(first));
    await assertKept(sandbox);
    await waitFor('what was of no use is gone', () => !existsSync(join(server.data, 'bundles', first)));
    await end(sandbox);
  });

  test('one that a crash left is removed, and one is prepared for those that are paused still', async () => {
    const sandbox = await paused(server);
    const first = await onlyPrepared();
    await server.crash();
    await server.launch();
    const second = await onlyPrepared();
    assert.notEqual(second, first);
    await sandbox.connect();
    assert.deepEqual(restored(server), [second]);
    await assertKept(sandbox);
    await end(sandbox);
  });

  test('a sandbox that was made with other limits keeps them', async () => {
    const sandbox = await paused(server);
    await server.pause();
    await server.launch(['--memory', '700']);
    const first = await onlyPrepared();
    await sandbox.connect();
    assert(!restored(server).includes(first));
    await assertKept(sandbox);
    assert.equal((await sandbox.getInfo()).memoryMB, 512);
    await end(sandbox);
  });

  test('more resumptions at once than there are, and forks', async () => {
    await server.crash();
    await server.launch(['--warm', '2']);
    const sandboxes = await Promise.all(Array.from({ length: 4 }, () => paused(server)));
    await waitFor('one is prepared', () => prepared(server).length > 0);
    await Promise.all(sandboxes.map((sandbox) => sandbox.connect()));
    await Promise.all(sandboxes.map(assertKept));
    const ready = await waitFor('one is prepared again', () => {
      const unused = prepared(server).filter((name) => !restored(server).includes(name));
      return unused.length > 0 && unused;
    });
    const forks = await sandboxes[0]!.fork({ count: 3 });
    for (const fork of forks) {
      assert(fork instanceof Sandbox, String(fork));
      await assertKept(fork);
    }
    assert(ready.some((name) => restored(server).includes(name)));
    await end(...sandboxes, ...(forks as readonly Sandbox[]));
  });

  test('with --warm 0 none is prepared', async () => {
    await server.crash();
    await server.launch(['--warm', '0']);
    const sandbox = await paused(server);
    await sandbox.connect();
    assert.deepEqual(prepared(server), []);
    await assertKept(sandbox);
    await end(sandbox);
  });
});
