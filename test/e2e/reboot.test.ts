// The machine is started anew: of what ran nothing is there, of what the kernel held neither; what was on the disk is.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Sandbox } from 'e2b';
import { Sandbox as OwnSandbox } from 'sandport';
import { leftovers, runtimes } from '../support/machine.ts';
import { purge } from '../support/purge.ts';
import { SandportServer } from '../support/sandport-server.ts';
import { waitFor } from '../support/wait-for.ts';

/** Ends every process, and takes away namespaces, mounts, control groups, rules and all under /run. */
async function reboot(server: SandportServer): Promise<void> {
  await server.crash();
  purge(server.instance, server.data);
  const isOfKernel = (line: string) => !/^(directory|file): /.test(line);
  await waitFor('nothing but files is left', () => {
    const left = leftovers(server.instance, server.data).filter(isOfKernel);
    if (left.length > 0) purge(server.instance, server.data);
    return left.length === 0;
  });
}

const lastEvent = async (server: SandportServer, sandboxId: string) =>
  (await OwnSandbox.listEvents({ ...server.options, sandboxId, limit: 1 }))[0];

test('after a restart of the machine paused sandboxes go on, and those that ran are lost or restored', async () => {
  await using server = await SandportServer.start('runsc', ['--warm', '0']);
  const { options } = server;
  const [paused, lost, restored] = await Promise.all([
    Sandbox.create({ ...options, timeoutMs: 3_600_000 }),
    Sandbox.create(options),
    OwnSandbox.create({ ...options, timeoutMs: 3_600_000, lifecycle: { restoreWhenLost: true } }),
  ]);
  await paused.commands.run('sleep 1000', { background: true });
  await waitFor('it sleeps', async () => (await paused.commands.run('pgrep -x sleep')).exitCode === 0);
  await paused.pause();
  await restored.commands.run('python3 -m http.server 3000', { background: true });
  await waitFor('it answers', async () => (await fetch(restored.getUrl(3000))).ok);
  await restored.files.write('kept', 'of the snapshot');
  const { snapshotId } = await restored.createSnapshot();
  await restored.files.write('kept', 'of after it');

  await reboot(server);
  await server.launch();

  await waitFor('the one with a snapshot answers at the same URL', async () => (await fetch(restored.getUrl(3000))).ok);
  assert.equal(await restored.files.read('kept'), 'of the snapshot');
  assert.equal((await lastEvent(server, restored.sandboxId))?.type, 'resumed');
  assert.equal((await lastEvent(server, lost.sandboxId))?.killReason, 'lost');
  await assert.rejects(OwnSandbox.getInfo(lost.sandboxId, options), /lost/);
  assert.equal((await paused.getInfo()).state, 'paused');
  await paused.connect();
  assert.equal((await paused.commands.run('pgrep -c sleep')).stdout, '1\n');
  // The snapshot is still there, for others.
  const another = await Sandbox.create(snapshotId, options);
  assert.equal(await another.files.read('kept'), 'of the snapshot');
  await Promise.all([paused.kill(), restored.kill(), another.kill()]);
  assert.equal(await OwnSandbox.deleteSnapshot(snapshotId, options), true);
  assert.deepEqual(await server.stop(), []);
});

for (const runtime of runtimes.filter((name) => name === 'runc')) {
  test('under runc what was paused keeps its files', async () => {
    await using server = await SandportServer.start(runtime, ['--warm', '0']);
    const { options } = server;
    const paused = await Sandbox.create(options);
    await paused.files.write('kept', 'of before');
    await paused.pause({ keepMemory: false });
    const lost = await Sandbox.create(options);
    await assert.rejects(OwnSandbox.create({ ...options, lifecycle: { restoreWhenLost: true } }), /runc cannot keep/);
    await reboot(server);
    await server.launch();
    await paused.connect();
    assert.equal(await paused.files.read('kept'), 'of before');
    assert.equal((await lastEvent(server, lost.sandboxId))?.killReason, 'lost');
    await paused.kill();
    assert.deepEqual(await server.stop(), []);
  });
}
