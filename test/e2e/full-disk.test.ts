// A disk that is full: what cannot be done is refused with the reason, and nothing is lost.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdir, mkdtemp, rm, statfs, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { Sandbox } from 'e2b';
import { Sandbox as OwnSandbox } from 'sandport';
import { SandportServer } from '../support/sandport-server.ts';
import { waitFor } from '../support/wait-for.ts';

const MIB = 1024 * 1024;
/** More than what a new data directory asks for. */
const SIZE_MIB = 8000;

describe('a full disk', () => {
  let root: string;
  let mount: string;
  let server: SandportServer;

  before(async () => {
    root = await mkdtemp(join(tmpdir(), 'sandport-disk-'));
    mount = join(root, 'mount');
    await mkdir(mount);
    await writeFile(join(root, 'image'), '');
    await truncate(join(root, 'image'), SIZE_MIB * MIB);
    execFileSync('mkfs.ext4', ['-q', '-F', '-m', '0', join(root, 'image')]);
    execFileSync('mount', ['-o', 'loop', join(root, 'image'), mount]);
    server = await SandportServer.start('runsc', ['--warm', '0', '--disk', '400'], { parent: mount });
  });
  after(async () => {
    // Ending what is there takes some room.
    for (const name of ['rest', 'filler']) await rm(join(mount, name), { force: true });
    try {
      assert.deepEqual(await server?.stop(), []);
    } finally {
      execFileSync('umount', ['--lazy', mount]);
      await rm(root, { recursive: true, force: true });
    }
  });

  const freeMiB = async () => {
    const { bavail, bsize } = await statfs(mount);
    return Math.floor((bavail * bsize) / MIB);
  };

  /** Leaves so much free. */
  async function fill(leave: number): Promise<void> {
    const bytes = (await freeMiB()) - leave;
    execFileSync('fallocate', ['-l', `${bytes}MiB`, join(mount, 'filler')]);
  }

  test('creations, pauses and snapshots are refused with the reason, what runs goes on, and ends', async () => {
    const { options } = server;
    const [sandbox, second] = await Promise.all([Sandbox.create(options), Sandbox.create(options)]);
    await sandbox.files.write('kept', 'of before');
    const before = (await Sandbox.list(options).nextItems()).length;

    await fill(200);
    const full = { code: 'capacity_exhausted', message: /the machine is full: its disk has \d+ MiB left/ };
    await assert.rejects(OwnSandbox.create(options), full);
    await assert.rejects(Sandbox.create({ ...options, retries: 0 } as object), /the machine is full/);
    await assert.rejects(OwnSandbox.pause(sandbox.sandboxId, options), full);
    await assert.rejects(OwnSandbox.createSnapshot(sandbox.sandboxId, options), full);
    assert.equal((await Sandbox.list(options).nextItems()).length, before, 'nothing half-made is there');
    assert.equal(await sandbox.files.read('kept'), 'of before');
    assert.equal((await sandbox.commands.run('echo well')).stdout, 'well\n');

    // To the last byte: what is recorded already can still be ended.
    execFileSync('sh', ['-c', `cat /dev/zero > ${join(mount, 'rest')} || true`], { stdio: 'ignore' });
    assert.equal(await freeMiB(), 0);
    await sandbox.setTimeout(600_000);
    assert.equal(await second.kill(), true);
    assert.equal(await second.isRunning(), false);
    // With a little room a server that is started takes over what runs.
    await rm(join(mount, 'rest'));
    await server.crash();
    await server.launch();
    assert.equal(await sandbox.files.read('kept'), 'of before');

    await rm(join(mount, 'filler'));
    const third = await Sandbox.create(options);
    assert.equal((await third.commands.run('echo room')).stdout, 'room\n');
    await sandbox.pause();
    await sandbox.connect();
    assert.equal(await sandbox.files.read('kept'), 'of before');
    await Promise.all([sandbox.kill(), third.kill()]);
  });

  test('a disk that fills up while a pause is written leaves the sandbox as it was', async () => {
    const { options } = server;
    const sandbox = await Sandbox.create(options);
    const hold = 'b = bytearray(150 * 1024 * 1024); b[::4096] = b"x" * len(b[::4096]); import os';
    await sandbox.commands.run(`python3 -c '${hold}, time; print("held", flush=True); time.sleep(1000)' > held`, {
      background: true,
    });
    await waitFor('it holds memory', async () => (await sandbox.files.read('held')).includes('held'));
    await fill(600);
    const paused = OwnSandbox.pause(sandbox.sandboxId, options).then(
      () => 'paused',
      (error: { code: string }) => error.code,
    );
    // Whichever is first: either the pause is whole, or the sandbox runs on.
    execFileSync('sh', ['-c', `cat /dev/zero > ${join(mount, 'rest')} || true`], { stdio: 'ignore' });
    const outcome = await paused;
    assert(['paused', 'sandbox_pause_failed', 'capacity_exhausted'].includes(outcome), outcome);
    await rm(join(mount, 'rest'));
    await rm(join(mount, 'filler'));
    assert.equal((await sandbox.getInfo()).state, outcome === 'paused' ? 'paused' : 'running');
    await sandbox.connect();
    assert.match((await sandbox.commands.run('pgrep -c python3')).stdout, /^1/);
    await sandbox.kill();
  });
});
