// What happens at the end time, and what wakes a paused sandbox: a request to its public URL, if it has access.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { InvalidArgumentError, Sandbox } from 'e2b';
import { SandportServer } from '../support/sandport-server.ts';
import { waitFor } from '../support/wait-for.ts';

const AUTO = { onTimeout: 'pause', autoResume: true } as const;

describe('auto-resume', () => {
  let server: SandportServer;

  before(async () => {
    server = await SandportServer.start('runsc');
  });
  after(async () => {
    assert.deepEqual(await server.stop(), []);
  });

  const stateOf = async (sandbox: Sandbox) => (await sandbox.getInfo()).state;
  const isPaused = (sandbox: Sandbox) => waitFor('it is paused', async () => (await stateOf(sandbox)) === 'paused');

  test('at its end time a sandbox is paused, and the first requests wake it once and are answered', async () => {
    const sandbox = await Sandbox.create({ ...server.options, timeoutMs: 60_000, lifecycle: AUTO });
    assert.deepEqual((await sandbox.getInfo()).lifecycle, AUTO);
    const program = `require('http').createServer((request, response) => {
      let bytes = 0; request.on('data', (chunk) => { bytes += chunk.length; });
      request.on('end', () => response.end(request.method + ' ' + bytes)); }).listen(3000)`;
    await sandbox.files.write('server.js', program);
    await sandbox.commands.run('node server.js', { background: true });
    const url = `https://${sandbox.getHost(3000)}/`;
    await waitFor('the server answers', async () => (await fetch(url)).ok);
    await sandbox.setTimeout(0);
    await isPaused(sandbox);

    // A body that is larger than what is read before somebody takes it.
    const body = Buffer.alloc(5_000_000);
    const answers = await Promise.all([
      ...Array.from({ length: 8 }, async () => (await fetch(url)).text()),
      (async () => (await fetch(url, { method: 'POST', body })).text())(),
    ]);
    assert.deepEqual(answers, [...Array.from({ length: 8 }, () => 'GET 0'), 'POST 5000000']);
    assert.equal(await stateOf(sandbox), 'running');
    assert.equal(server.log().match(/sandbox resumed/g)?.length, 1, 'it was woken once');
    const left = (await sandbox.getInfo()).endAt.getTime() - Date.now();
    assert(Math.abs(left - 300_000) < 20_000, `it lives five minutes more: ${left}`);

    // Whoever follows a command sees it break off, asks whether the sandbox runs, and does not wake it by that.
    const followed = await sandbox.commands.run('sleep 1000', { background: true });
    const broken = assert.rejects(followed.wait());
    await sandbox.pause();
    await broken;
    assert.equal(await sandbox.isRunning(), false);
    assert.equal(await stateOf(sandbox), 'paused');

    // Also by a command, which goes to the agent.
    assert.equal((await sandbox.commands.run('echo awake')).stdout, 'awake\n');
    await sandbox.kill();
  });

  test('a request without access wakes nothing', async () => {
    const network = { allowPublicTraffic: false };
    const sandbox = await Sandbox.create({ ...server.options, lifecycle: AUTO, network });
    const url = `https://${sandbox.getHost(3000)}/`;
    const agent = `https://${sandbox.getHost(49983)}/envs`;
    await sandbox.pause();
    assert.equal((await fetch(url)).status, 403);
    assert.equal((await fetch(url, { headers: { 'e2b-traffic-access-token': 'wrong' } })).status, 403);
    const refused = await fetch(agent, { headers: { 'X-Access-Token': 'wrong' } });
    assert.equal(refused.status, 403);
    assert.match(await refused.text(), /can't be resumed with the credentials provided/);
    assert.equal((await fetch(`https://${sandbox.getHost(49983)}/init`, { method: 'POST' })).status, 404);
    assert.equal(await stateOf(sandbox), 'paused');
    const allowed = await fetch(url, { headers: { 'e2b-traffic-access-token': sandbox.trafficAccessToken! } });
    assert.equal(allowed.status, 502, 'nothing listens there');
    assert.match(await allowed.text(), /port is not open/);
    assert.equal(await stateOf(sandbox), 'running');
    await sandbox.kill();
  });

  test('paused without auto-resume, a request gets 502 and wakes nothing', async () => {
    const sandbox = await Sandbox.create({ ...server.options, lifecycle: { onTimeout: 'pause' }, timeoutMs: 60_000 });
    await sandbox.setTimeout(0);
    await isPaused(sandbox);
    assert.equal((await fetch(`https://${sandbox.getHost(3000)}/`)).status, 502);
    assert.equal(await stateOf(sandbox), 'paused');
    assert.equal(await sandbox.kill(), true);
  });

  test('a sandbox that is woken is not lost when its server crashes, and requests wait for the next one', async () => {
    const sandbox = await Sandbox.create({ ...server.options, lifecycle: AUTO });
    await sandbox.commands.run('python3 -m http.server 3000', { background: true });
    const url = `https://${sandbox.getHost(3000)}/`;
    await waitFor('the server answers', async () => (await fetch(url)).ok);
    await sandbox.pause();
    await server.crash();
    const waiting = fetch(url);
    await server.launch();
    assert.equal((await waiting).status, 200);
    await sandbox.pause();
    await server.crash();
    await server.launch();
    assert.equal((await fetch(url)).status, 200);
    await sandbox.kill();
  });

  test('options that contradict each other are refused by the server too', async () => {
    const create = (body: object) =>
      fetch(`${server.connection.apiUrl}/sandboxes`, {
        method: 'POST',
        headers: { 'X-API-Key': server.connection.apiKey, 'Content-Type': 'application/json' },
        body: JSON.stringify({ templateID: 'base', ...body }),
      });
    const bad = [
      { autoResume: { enabled: true } },
      { autoPauseMemory: false },
      { autoPause: true, autoPauseMemory: false, autoResume: { enabled: true } },
    ];
    for (const body of bad) assert.equal((await create(body)).status, 400, JSON.stringify(body));
    await assert.rejects(
      Sandbox.create({ ...server.options, lifecycle: { onTimeout: 'kill', autoResume: true } }),
      InvalidArgumentError,
    );
  });
});

describe('pause under runc', () => {
  let server: SandportServer;

  before(async () => {
    server = await SandportServer.start('runc');
  });
  after(async () => {
    assert.deepEqual(await server.stop(), []);
  });

  test('memory cannot be kept, which is said; files are kept', async () => {
    const { options } = server;
    const sandbox = await Sandbox.create(options);
    await sandbox.files.write('kept', 'of before');
    await sandbox.commands.run('sudo mkdir /data && sudo rm -f /etc/motd');
    await sandbox.commands.run('sleep 1000', { background: true });
    const boots = async () => (await sandbox.commands.run("cut -d' ' -f22 /proc/1/stat")).stdout;
    const before = await boots();
    for (const call of [() => sandbox.pause(), () => sandbox.fork(), () => sandbox.createSnapshot()]) {
      await assert.rejects(call(), /runc cannot keep the memory/, String(call));
    }
    await assert.rejects(Sandbox.create({ ...options, lifecycle: AUTO }), /runc cannot keep the memory/);
    assert.equal(await sandbox.isRunning(), true, 'the sandbox is as before');

    assert.equal(await sandbox.pause({ keepMemory: false }), true);
    assert.equal(await sandbox.isRunning(), false);
    await sandbox.connect();
    assert.equal(await sandbox.files.read('kept'), 'of before');
    assert.equal((await sandbox.commands.run('ls -d /data')).stdout, '/data\n');
    assert.deepEqual(await sandbox.commands.list(), []);
    assert.notEqual(await boots(), before);
    assert.equal(await sandbox.pause({ keepMemory: false }), true);
    await server.crash();
    await server.launch();
    await sandbox.connect();
    assert.equal(await sandbox.files.read('kept'), 'of before');

    const short = await Sandbox.create({
      ...options,
      timeoutMs: 60_000,
      lifecycle: { onTimeout: { action: 'pause', keepMemory: false } },
    });
    await short.setTimeout(0);
    await waitFor('it is paused', async () => (await short.getInfo()).state === 'paused');
    assert.equal(await short.kill(), true);
    assert.equal(await sandbox.kill(), true);
  });
});
