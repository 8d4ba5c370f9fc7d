// Snapshots and forks with the official client: others go on from one moment of a sandbox, and share nothing afterwards.
import assert from 'node:assert/strict';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { Sandbox, SandboxNotFoundError } from 'e2b';
import { SandportServer } from '../support/sandport-server.ts';
import { repeat } from '../support/shell.ts';
import { waitFor } from '../support/wait-for.ts';

describe('snapshots and forks', () => {
  let server: SandportServer;

  before(async () => {
    server = await SandportServer.start('runsc');
  });
  after(async () => {
    assert.deepEqual(await server.stop(), []);
  });

  const snapshotsOnDisk = () => readdir(join(server.data, 'snapshots'));

  test('sandboxes are created from a snapshot, with its processes and files, and outlive it', async () => {
    const { options } = server;
    const parent = await Sandbox.create({ ...options, envs: { A: 'parent', B: 'parent' } });
    await parent.files.write('page/index.html', 'of the parent');
    await parent.commands.run('cd page && python3 -m http.server 3000', { background: true });
    await waitFor('the server answers', async () => (await fetch(`https://${parent.getHost(3000)}/`)).ok);

    const snapshot = await parent.createSnapshot();
    assert.match(snapshot.snapshotId, /^[a-z0-9]{20}:default$/);
    assert.deepEqual(snapshot.names, []);
    assert.equal(await (await fetch(`https://${parent.getHost(3000)}/`)).text(), 'of the parent', 'the parent runs on');
    const named = await Sandbox.createSnapshot(parent.sandboxId, { ...options, name: 'Ready' });
    assert.deepEqual([named.snapshotId, named.names], ['ready:default', ['ready:default']]);

    const child = await Sandbox.create(snapshot.snapshotId, {
      ...options,
      envs: { B: 'child' },
      metadata: { of: 'me' },
    });
    assert.notEqual(child.sandboxId, parent.sandboxId);
    assert.equal(await (await fetch(`https://${child.getHost(3000)}/`)).text(), 'of the parent');
    assert.equal((await child.commands.run('echo $A $B $E2B_SANDBOX_ID')).stdout, `parent child ${child.sandboxId}\n`);
    await child.files.write('page/index.html', 'of the child');
    assert.equal(await (await fetch(`https://${parent.getHost(3000)}/`)).text(), 'of the parent');
    assert.equal(await (await fetch(`https://${child.getHost(3000)}/`)).text(), 'of the child');
    const machineId = async (sandbox: Sandbox) => (await sandbox.commands.run('cat /etc/machine-id')).stdout;
    assert.notEqual(await machineId(child), await machineId(parent));
    // The parent's token is not the child's.
    await assert.rejects(
      new Sandbox({ ...options, ...tokenOf(parent), sandboxId: child.sandboxId, envdVersion: '0.6.13' }).files.read(
        'a',
      ),
      /access token/,
    );

    const all = await Sandbox.listSnapshots(options).nextItems();
    assert.deepEqual(all.map(({ snapshotId }) => snapshotId).sort(), [snapshot.snapshotId, 'ready:default'].sort());
    const pages = Sandbox.listSnapshots({ ...options, limit: 1 });
    assert.equal((await pages.nextItems()).length, 1);
    assert.equal((await pages.nextItems()).length, 1);
    assert.equal(pages.hasNext, false);
    assert.deepEqual(
      (await parent.listSnapshots({ name: 'ready' }).nextItems()).map(({ snapshotId }) => snapshotId),
      ['ready:default'],
    );
    assert.deepEqual(await child.listSnapshots().nextItems(), []);

    await parent.kill();
    assert.equal(await Sandbox.deleteSnapshot(snapshot.snapshotId, options), true);
    assert.equal(await Sandbox.deleteSnapshot(snapshot.snapshotId, options), false);
    await assert.rejects(Sandbox.create(snapshot.snapshotId, options), /not found/);
    assert.equal(await (await fetch(`https://${child.getHost(3000)}/`)).text(), 'of the child');
    assert.equal(await child.pause(), true);
    await child.connect();
    assert.equal(await (await fetch(`https://${child.getHost(3000)}/`)).text(), 'of the child');
    const second = await Sandbox.create('ready', options);
    assert.equal(await second.files.read('page/index.html'), 'of the parent');
    await Promise.all([child.kill(), second.kill()]);
    assert.equal(await Sandbox.deleteSnapshot('ready', options), true);
    assert.deepEqual(await snapshotsOnDisk(), []);
  });

  test('forks of a running sandbox share its past and nothing afterwards', async () => {
    const { options } = server;
    const parent = await Sandbox.create({ ...options, metadata: { family: 'one' } });
    await parent.commands.run('echo before > past');
    const count = `n=0; ${repeat(0.05, '[ -e tick ] && { n=$((n+1)); echo $n > out; rm tick; }')}`;
    const counter = await parent.commands.run(count, { background: true, timeoutMs: 0 });
    const forks = await parent.fork({ count: 3, timeoutMs: 120_000 });
    assert.equal(forks.length, 3);
    const children = forks.map((fork) => {
      assert(fork instanceof Sandbox, String(fork));
      return fork;
    });
    const everyone = [parent, ...children];
    assert.equal(new Set(everyone.map(({ sandboxId }) => sandboxId)).size, 4);
    const uuids = new Set<string>();
    for (const [index, sandbox] of everyone.entries()) {
      assert.equal(await sandbox.files.read('past'), 'before\n');
      const rounds = Array.from({ length: index + 1 }, () => 'touch tick; while [ -e tick ]; do sleep 0.05; done').join(
        '; ',
      );
      await sandbox.commands.run(rounds);
      assert.equal(await sandbox.files.read('out'), `${index + 1}\n`, 'each counts for itself');
      uuids.add((await sandbox.commands.run('python3 -c "import uuid; print(uuid.uuid4())"')).stdout);
      assert.deepEqual(
        (await sandbox.commands.list()).map(({ pid }) => pid),
        [counter.pid],
      );
    }
    assert.equal(uuids.size, 4);
    const [more] = await Sandbox.fork(children[0]!.sandboxId, options);
    assert(more instanceof Sandbox);
    assert.equal(await more.files.read('out'), '2\n', 'a fork of a fork');
    await Promise.all([...everyone, more].map((sandbox) => sandbox.kill()));
    assert.deepEqual(await snapshotsOnDisk(), []);
  });

  test('names and tags of snapshots know no upper case', async () => {
    const { options } = server;
    const parent = await Sandbox.create({ ...options, template: 'BASE:default' });
    const older = await parent.createSnapshot({ name: 'app:v1' });
    const snapshot = await parent.createSnapshot({ name: 'App:V1' });
    assert.deepEqual([snapshot.snapshotId, snapshot.names], ['app:v1', ['app:v1']]);
    const child = await Sandbox.create('app:V1', options);
    await child.kill();
    for (const name of ['APP', 'app:V1']) {
      const found = await Sandbox.listSnapshots({ ...options, name }).nextItems();
      assert.deepEqual(
        found.map(({ snapshotId }) => snapshotId),
        ['app:v1'],
      );
    }
    await assert.rejects(parent.createSnapshot({ name: 'Base' }), /must not be 'base'/);
    await assert.rejects(parent.createSnapshot({ name: 'base:mine' }), /must not be 'base'/);
    await assert.rejects(Sandbox.create('base:mine', options), /tag 'mine' does not exist for template 'base'/);
    await parent.kill();
    assert.equal(await Sandbox.deleteSnapshot('app:V1', options), true);
    const unnamed = await Sandbox.listSnapshots(options).nextItems();
    assert.equal(unnamed.length, 1, 'the one before has lost its name and is there');
    assert.notEqual(unnamed[0]!.snapshotId, older.snapshotId);
    assert.equal(await Sandbox.deleteSnapshot(unnamed[0]!.snapshotId, options), true);
  });

  test('what cannot be snapshotted or forked is refused', async () => {
    const { options } = server;
    const sandbox = await Sandbox.create(options);
    await assert.rejects(sandbox.fork({ count: 0 }), /Count must be at least 1/);
    await assert.rejects(sandbox.fork({ count: 101 }), /Count cannot be greater than 100/);
    await assert.rejects(sandbox.createSnapshot({ name: 'no/slash' }), /body\/name/);
    await sandbox.pause();
    await assert.rejects(sandbox.fork(), /cannot be forked while it is paused/);
    await assert.rejects(sandbox.createSnapshot(), /cannot be snapshotted while it is paused/);
    await sandbox.kill();
    await assert.rejects(sandbox.fork(), SandboxNotFoundError);
    await assert.rejects(sandbox.createSnapshot(), SandboxNotFoundError);
  });
});

function tokenOf(sandbox: Sandbox): { envdAccessToken: string } {
  return { envdAccessToken: (sandbox as unknown as { envdAccessToken: string }).envdAccessToken };
}
