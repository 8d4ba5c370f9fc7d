// Containers that are prepared for what comes out of a snapshot: resumptions and forks.
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
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
  test('one is prepared after a pause, the resumption goes on in it, and another takes its place', async () => {
    await using server = await SandportServer.start('runsc', ['--warm', '1']);
    assert.deepEqual(prepared(server), [], 'nothing could be brought back yet');
    const sandbox = await paused(server);
    const [first] = await waitFor('one is prepared', () => prepared(server).length === 1 && prepared(server));
    await sandbox.connect();
    assert.deepEqual(restored(server), [first]);
    await assertKept(sandbox);
    await waitFor('another is prepared', () => prepared(server).length === 2);
    await sandbox.kill();
    assert.deepEqual(await server.stop(), []);
  });

  test('one whose kernel has ended is not used, and nobody notices', async () => {
    await using server = await SandportServer.start('runsc', ['--warm', '1']);
    const sandbox = await paused(server);
    const [first] = await waitFor('one is prepared', () => prepared(server).length === 1 && prepared(server));
    process.kill(pidOf(server, first!), 'SIGKILL');
    await sandbox.connect();
    assert(!restored(server).includes(first!));
    await assertKept(sandbox);
    await waitFor('what was of no use is gone', () => !existsSync(join(server.data, 'bundles', first!)));
    await sandbox.kill();
    assert.deepEqual(await server.stop(), []);
  });

  test('more resumptions at once than there are, and forks', async () => {
    await using server = await SandportServer.start('runsc', ['--warm', '2']);
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
    await Promise.all([...sandboxes, ...forks].map((sandbox) => (sandbox as Sandbox).kill()));
    assert.deepEqual(await server.stop(), []);
  });

  test('one that a crash left is removed, and one is prepared for those that are paused still', async () => {
    await using server = await SandportServer.start('runsc', ['--warm', '1']);
    const sandbox = await paused(server);
    const [first] = await waitFor('one is prepared', () => prepared(server).length === 1 && prepared(server));
    await server.crash();
    await server.launch();
    const [second] = await waitFor('another is prepared', () => prepared(server).length === 1 && prepared(server));
    assert.notEqual(second, first);
    await sandbox.connect();
    assert.deepEqual(restored(server), [second]);
    await assertKept(sandbox);
    await sandbox.kill();
    assert.deepEqual(await server.stop(), []);
  });

  test('a sandbox that was made with other limits keeps them', async () => {
    await using server = await SandportServer.start('runsc', ['--warm', '1', '--memory', '512']);
    const sandbox = await paused(server);
    await server.pause();
    await server.launch(['--memory', '700']);
    const [first] = await waitFor('one is prepared', () => prepared(server).length === 1 && prepared(server));
    await sandbox.connect();
    assert(!restored(server).includes(first!));
    await assertKept(sandbox);
    assert.equal((await sandbox.getInfo()).memoryMB, 512);
    await sandbox.kill();
    assert.deepEqual(await server.stop(), []);
  });

  test('with --warm 0 none is prepared', async () => {
    await using server = await SandportServer.start('runsc', ['--warm', '0']);
    const sandbox = await paused(server);
    await sandbox.connect();
    assert.deepEqual(prepared(server), []);
    await assertKept(sandbox);
    await sandbox.kill();
    assert.deepEqual(await server.stop(), []);
  });
});
