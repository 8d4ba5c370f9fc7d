// Pause and resume with the official client: what was there before is there afterwards, under the same ID and URL.
import assert from 'node:assert/strict';
import { readdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { Sandbox, SandboxNotFoundError } from 'e2b';
import { SandportServer } from '../support/sandport-server.ts';
import { repeat } from '../support/shell.ts';
import { waitFor } from '../support/wait-for.ts';

describe('pause with memory', () => {
  let server: SandportServer;

  before(async () => {
    server = await SandportServer.start('runsc');
  });
  after(async () => {
    assert.deepEqual(await server.stop(), []);
  });

  test('processes, open files, servers and files go on after a pause, with the same ID, URL and tokens', async () => {
    const sandbox = await Sandbox.create({
      ...server.options,
      metadata: { keep: 'me' },
      envs: { COLOUR: 'green' },
      network: { denyOut: ['192.0.2.0/24'], allowPublicTraffic: false },
    });
    const { sandboxId, trafficAccessToken } = sandbox;
    const url = `https://${sandbox.getHost(3000)}/`;
    const headers = { 'e2b-traffic-access-token': trafficAccessToken! };
    await sandbox.files.write('/home/user/page/index.html', 'as before');
    const web = await sandbox.commands.run('cd page && python3 -m http.server 3000', { background: true });
    await waitFor('the server answers', async () => (await fetch(url, { headers })).ok);
    // A shell with a variable and an open and deleted file.
    const shell = await sandbox.commands.run(
      `count=7; exec 3>gone; echo kept >&3; rm gone; ${repeat(0.05, '[ -e tick ] && { rm tick; count=$((count+1)); echo more >&3 && echo $count > out; }')}`,
      { background: true, timeoutMs: 0 },
    );
    const bootId = await sandbox.files.read('/proc/sys/kernel/random/boot_id');
    const processes = await sandbox.commands.list();

    assert.equal(await sandbox.pause(), true);
    assert.equal(await sandbox.pause(), false, 'it is paused already');
    assert.equal((await sandbox.getInfo()).state, 'paused');
    const listed = await Sandbox.list({ ...server.options, query: { state: ['paused'] } }).nextItems();
    assert.deepEqual(
      listed.map((info) => [info.sandboxId, info.state, info.metadata]),
      [[sandboxId, 'paused', { keep: 'me' }]],
    );
    assert.deepEqual(await Sandbox.list({ ...server.options, query: { state: ['running'] } }).nextItems(), []);
    assert.equal(await sandbox.isRunning(), false);
    const refused = await fetch(url, { headers });
    assert.equal(refused.status, 502);
    assert.deepEqual(await refused.json(), { sandboxId, message: 'The sandbox was not found', code: 502 });

    const resumed = await Sandbox.connect(sandboxId, server.options);
    assert.equal(resumed.sandboxId, sandboxId);
    assert.equal(resumed.trafficAccessToken, trafficAccessToken);
    assert.equal(await (await fetch(url, { headers })).text(), 'as before');
    assert.equal((await fetch(url)).status, 403);
    assert.deepEqual(await sandbox.commands.list(), processes);
    assert.equal(await sandbox.files.read('/proc/sys/kernel/random/boot_id'), bootId);
    await resumed.commands.run('touch tick; while [ ! -s out ]; do sleep 0.05; done');
    assert.equal(await resumed.files.read('out'), '8\n');
    assert.equal((await resumed.commands.run('echo $COLOUR $E2B_SANDBOX_ID')).stdout, `green ${sandboxId}\n`);
    const asked = Date.now();
    const clock = Number((await resumed.commands.run('date +%s.%N')).stdout) * 1000;
    const answered = Date.now();
    assert(asked - 1000 < clock && clock < answered + 1000, `the clock inside is right: ${asked} ${clock} ${answered}`);
    const info = await resumed.getInfo();
    assert.deepEqual([info.state, info.metadata, info.network?.denyOut], ['running', { keep: 'me' }, ['192.0.2.0/24']]);
    assert.equal(await (await resumed.commands.connect(web.pid)).kill(), true);
    assert.equal(await (await resumed.commands.connect(shell.pid)).kill(), true);
    assert.equal(await resumed.kill(), true);
  });

  test('it can be paused again and again, and a kill removes a paused one with all that it had', async () => {
    const sandbox = await Sandbox.create(server.options);
    for (let round = 0; round < 3; round++) {
      await sandbox.commands.run(`echo ${round} >> rounds`);
      assert.equal(await Sandbox.pause(sandbox.sandboxId, server.options), true);
      await sandbox.connect();
    }
    assert.equal(await sandbox.files.read('rounds'), '0\n1\n2\n');
    assert.equal(await sandbox.betaPause(), true);
    assert.equal((await readdir(join(server.data, 'snapshots'))).length, 1);
    assert.equal(await sandbox.kill(), true);
    assert.equal(await sandbox.kill(), false);
    await assert.rejects(Sandbox.connect(sandbox.sandboxId, server.options), SandboxNotFoundError);
    await waitFor('it is removed', async () => (await readdir(join(server.data, 'snapshots'))).length === 0);
  });

  test('a pause without memory keeps the files, ends the processes and is not woken by a request', async () => {
    const lifecycle = { onTimeout: 'pause', autoResume: true } as const;
    const sandbox = await Sandbox.create({ ...server.options, lifecycle });
    const bootId = async () => sandbox.files.read('/proc/sys/kernel/random/boot_id');
    const before = await bootId();
    await sandbox.files.write('kept', 'yes');
    const start = 'sleep 1000 & setsid sleep 1001 & echo gone > /dev/shm/gone; sleep 1002';
    await sandbox.commands.run(start, { background: true, timeoutMs: 0 });
    const assertRestarted = async (earlier: string) => {
      assert.equal(await sandbox.files.read('kept'), 'yes');
      assert.deepEqual(await sandbox.commands.list(), []);
      assert.equal((await sandbox.commands.run('pgrep -c sleep || true; ls /dev/shm')).stdout, '0\n');
      assert.notEqual(await bootId(), earlier);
      assert.equal((await sandbox.commands.run('sudo id -u')).stdout, '0\n');
    };
    assert.equal(await sandbox.pause({ keepMemory: false }), true);
    assert.equal((await fetch(`https://${sandbox.getHost(3000)}/`)).status, 502);
    assert.equal((await sandbox.getInfo()).state, 'paused');
    await sandbox.connect();
    await assertRestarted(before);

    // The same of one whose memory was kept; and what was restarted can be paused with its memory.
    await sandbox.commands.run(start, { background: true, timeoutMs: 0 });
    const second = await bootId();
    await sandbox.pause();
    await sandbox.connect({ onResume: 'reboot' });
    await assertRestarted(second);
    const third = await bootId();
    await sandbox.pause();
    await sandbox.connect();
    assert.equal(await bootId(), third);
    await sandbox.kill();
  });

  test('a pause that fails leaves the sandbox running, and a resumption that fails leaves it paused', async () => {
    const sandbox = await Sandbox.create(server.options);
    await sandbox.commands.run('python3 -m http.server 3000', { background: true });
    const url = `https://${sandbox.getHost(3000)}/`;
    await waitFor('the server answers', async () => (await fetch(url)).ok);
    const snapshots = join(server.data, 'snapshots');
    await rm(snapshots, { recursive: true, force: true });
    await writeFile(snapshots, 'in the way');
    await assert.rejects(sandbox.pause(), /could not be paused and runs on/);
    assert.equal((await sandbox.getInfo()).state, 'running');
    assert.equal((await fetch(url)).status, 200);
    assert.equal((await sandbox.commands.run('echo here')).stdout, 'here\n');
    await assert.rejects(sandbox.createSnapshot(), /the sandbox runs on/);
    assert.equal((await fetch(url)).status, 200);

    await rm(snapshots);
    await sandbox.pause();
    const [id] = await readdir(snapshots);
    const content = join(snapshots, id!, 'content', 'checkpoint.img');
    await rename(content, `${content}.away`);
    await assert.rejects(sandbox.connect(), /could not be resumed and stays paused/);
    assert.equal((await sandbox.getInfo()).state, 'paused');
    await rename(`${content}.away`, content);
    await sandbox.connect();
    assert.equal((await fetch(url)).status, 200);
    await sandbox.kill();
  });
});
