// Rules over the life of a sandbox: pauses, resumptions, forks and snapshots keep them, and a secret stays outside.
import assert from 'node:assert/strict';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { NetworkReport } from '@sandport/protocol/api';
import { Sandbox } from 'e2b';
import { runtimes } from '../support/machine.ts';
import { Outside } from '../support/outside.ts';
import { SandportServer } from '../support/sandport-server.ts';
import { waitFor } from '../support/wait-for.ts';

const EVERYTHING = '0.0.0.0/0';
const SECRET = 'of-no-concern-to-the-sandbox';
const PROXY = { address: 'proxy.test:1080', username: 'user', password: 'password' };

for (const runtime of runtimes) {
  describe(`rules over a life under ${runtime}`, () => {
    const keepMemory = runtime === 'runsc';
    const resources = new AsyncDisposableStack();
    let server: SandportServer;
    let outside: Outside;

    before(async () => {
      outside = resources.use(await Outside.open());
      const env = await outside.trusted(resources);
      server = await SandportServer.start(runtime, ['--nameserver', outside.nameserver], { env });
    });
    after(async () => {
      await resources.disposeAsync();
      assert.deepEqual(await server.stop(), []);
    });

    const run = async (sandbox: Sandbox, command: string): Promise<string> =>
      (await sandbox.commands.run(`${command} || echo "exit $?"`)).stdout.trim();
    const curl = (sandbox: Sandbox, args: string): Promise<string> =>
      run(sandbox, `curl --silent --max-time 5 ${args}`);

    function network() {
      return {
        allowOut: ['allowed.test', outside.hosts[1]],
        denyOut: [EVERYTHING],
        rules: { 'allowed.test': [{ transform: { headers: { 'X-Secret': SECRET } } }] },
      };
    }

    async function assertRules(sandbox: Sandbox): Promise<void> {
      const [denied, allowed] = outside.hosts;
      for (const scheme of ['https', 'http']) {
        const headers = JSON.parse(await curl(sandbox, `${scheme}://allowed.test/headers`));
        assert.equal(headers['x-secret'], SECRET, scheme);
      }
      assert.equal(await curl(sandbox, `http://${allowed}/`), `outside ${allowed}`);
      assert.match(await curl(sandbox, `http://${denied}/`), /exit/);
      assert.match(await curl(sandbox, `--insecure https://other.test/ --resolve other.test:443:${denied}`), /exit/);
      assert.doesNotMatch(await run(sandbox, 'env'), new RegExp(SECRET));
    }

    async function report({ sandboxId }: Sandbox): Promise<NetworkReport> {
      const { apiUrl, apiKey } = server.connection;
      const response = await fetch(`${apiUrl}/sandboxes/${sandboxId}/network`, { headers: { 'x-api-key': apiKey } });
      return (await response.json()) as NetworkReport;
    }

    /** What signed the certificate that the sandbox is shown for the host whose requests get headers. */
    const issuer = (sandbox: Sandbox): Promise<string> =>
      run(sandbox, `curl --silent --verbose https://allowed.test/ 2>&1 | grep 'issuer: ' | tr -d '\\r'`);

    test('a sandbox that was paused has its rules, its authority and its counters again', async () => {
      const sandbox = await Sandbox.create({ ...server.options, network: network() });
      await assertRules(sandbox);
      const body = '--data-binary @/bin/bash --output /dev/null';
      for (const scheme of ['https', 'http']) await run(sandbox, `curl --silent ${body} ${scheme}://allowed.test/`);
      // What is read outside is counted with the end of its connection.
      await waitFor('what was sent is counted', async () => (await report(sandbox)).traffic.sentBytes > 2_000_000);
      const authority = await issuer(sandbox);
      assert.equal(await sandbox.pause({ keepMemory }), true);
      const counted = await report(sandbox);
      const { connections, sentBytes, denied } = counted.traffic;
      assert(connections >= 6 && sentBytes > 2_000_000 && denied > 0, JSON.stringify(counted.traffic));
      const again = await Sandbox.connect(sandbox.sandboxId, server.options);
      await assertRules(again);
      assert.equal(await issuer(again), authority);
      const later = (await report(again)).traffic;
      for (const key of ['connections', 'sentBytes', 'receivedBytes', 'denied'] as const) {
        assert(later[key] > counted.traffic[key], `${key}: ${later[key]} after ${counted.traffic[key]}`);
      }
      const { network: shown } = await again.getInfo();
      assert.deepEqual(shown?.allowOut, network().allowOut);
      await again.kill();
    });

    test('a sandbox that was paused leaves through its proxy again', async () => {
      const sandbox = await Sandbox.create({
        ...server.options,
        network: { allowOut: ['allowed.test'], denyOut: [EVERYTHING], egressProxy: PROXY },
      });
      await sandbox.pause({ keepMemory });
      const again = await Sandbox.connect(sandbox.sandboxId, server.options);
      const before = (await outside.dialled()).length;
      assert.equal(await curl(again, '--insecure https://allowed.test/'), `outside ${outside.hosts[0]}`);
      assert.deepEqual((await outside.dialled()).slice(before), ['allowed.test:443']);
      assert.match(await curl(again, `http://${outside.hosts[1]}/`), /exit/);
      await again.kill();
    });

    test('a fork has the rules of its parent and an authority of its own', { skip: !keepMemory }, async () => {
      const parent = await Sandbox.create({ ...server.options, network: network() });
      const [child] = await parent.fork({ timeoutMs: 300_000 });
      assert(child instanceof Sandbox);
      await assertRules(child);
      await assertRules(parent);
      const [ofParent, ofChild] = await Promise.all([issuer(parent), issuer(child)]);
      assert.match(ofChild, /Sandport egress/);
      assert.notEqual(ofChild, ofParent);
      // What is changed for the one is not for the other.
      await parent.updateNetwork({ denyOut: [EVERYTHING] });
      assert.match(await curl(parent, `http://${outside.hosts[1]}/`), /exit/);
      await assertRules(child);
      await Promise.all([parent.kill(), child.kill()]);
    });

    test('a sandbox from a snapshot has the rules that it is given', { skip: !keepMemory }, async () => {
      const origin = await Sandbox.create({ ...server.options, network: network() });
      const { snapshotId } = await origin.createSnapshot();
      const made = await Sandbox.create(snapshotId, { ...server.options, network: network() });
      await assertRules(made);
      assert.notEqual(await issuer(made), await issuer(origin));
      const closed = await Sandbox.create(snapshotId, { ...server.options, allowInternetAccess: false });
      assert.match(await curl(closed, `http://${outside.hosts[1]}/`), /exit/);
      assert.match(await curl(closed, '--insecure https://allowed.test/'), /exit/);
      await Promise.all([origin, made, closed].map((one) => one.kill()));
      await Sandbox.deleteSnapshot(snapshotId, server.options);
    });

    test('connections that are being made keep no sandbox from being paused, forked and written down', {
      skip: !keepMemory,
    }, async () => {
      const denied = outside.hosts[0];
      const sandbox = await Sandbox.create({ ...server.options, network: { denyOut: [denied] } });
      // One that is refused over and over, and one that nobody answers: outside nobody forwards.
      for (const address of [denied, '198.51.100.9']) {
        const script = `
import socket
while True:
    try: socket.create_connection(("${address}", 80), 100)
    except OSError: pass`;
        await sandbox.files.write(`${address}.py`, script);
        await sandbox.commands.run(`python3 ${address}.py`, { background: true, timeoutMs: 0 });
      }
      const connecting = `awk '$4 == "02"' /proc/net/tcp`;
      await waitFor('a connection is being made', async () => (await run(sandbox, connecting)) !== '');
      assert.equal(await sandbox.pause(), true);
      await sandbox.connect();
      const { snapshotId } = await sandbox.createSnapshot();
      const [child] = await sandbox.fork({ timeoutMs: 300_000 });
      assert(child instanceof Sandbox);
      assert.equal(await sandbox.pause(), true);
      await sandbox.connect();
      for (const one of [sandbox, child]) {
        assert.equal((await one.commands.list()).length, 2, 'the programs go on');
        await one.kill();
      }
      await Sandbox.deleteSnapshot(snapshotId, server.options);
    });

    test('no credential is in a file of the database', async () => {
      const sandbox = await Sandbox.create({
        ...server.options,
        envs: { KEY: `${SECRET}-either` },
        network: { ...network(), egressProxy: { ...PROXY, password: SECRET } },
      });
      const files = (await readdir(server.data)).filter((name) => name.includes('.db'));
      assert(files.length > 0);
      for (const file of files) {
        assert(!(await readFile(join(server.data, file), 'latin1')).includes(SECRET), file);
      }
      await sandbox.kill();
    });
  });
}
