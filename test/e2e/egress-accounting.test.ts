// What a sandbox sent, received and was denied, and the limits that an operator sets.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { NetworkReport } from '@sandport/protocol/api';
import { Sandbox } from 'e2b';
import { runtimes } from '../support/machine.ts';
import { Outside } from '../support/outside.ts';
import { SandportServer } from '../support/sandport-server.ts';
import { waitFor } from '../support/wait-for.ts';

const CLI = fileURLToPath(new URL('../../packages/cli/src/main.js', import.meta.url));
const EVERYTHING = '0.0.0.0/0';
const CONNECTIONS = 20;
const MEGABITS = 40;

/** Opens connections and says how many there are. */
const OPEN = `
import socket, sys, time
held = []
for _ in range(int(sys.argv[2])):
    try:
        one = socket.create_connection((sys.argv[1], int(sys.argv[3])), timeout=2)
        one.sendall(b'x'); one.recv(1)
        held.append(one)
    except OSError: pass
print(len(held))
`;

/** The same by name, in plain HTTP. */
const OPEN_BY_NAME = `
import socket, sys
held = []
for _ in range(int(sys.argv[2])):
    try:
        one = socket.create_connection((sys.argv[1], 80), timeout=2)
        one.sendall(b'GET / HTTP/1.1\\r\\nHost: %s\\r\\n\\r\\n' % sys.argv[1].encode())
        if one.recv(100).startswith(b'HTTP/1.1 200'): held.append(one)
    except OSError: pass
print(len(held))
`;

for (const runtime of runtimes) {
  describe(`accounting under ${runtime}`, () => {
    let server: SandportServer;
    let outside: Outside;

    before(async () => {
      outside = await Outside.open();
      server = await SandportServer.start(runtime, [
        ...['--nameserver', outside.nameserver],
        ...['--permit', outside.permitted],
        ...['--egress-connections', String(CONNECTIONS)],
        ...['--egress-bandwidth', String(MEGABITS)],
      ]);
    });
    after(async () => {
      await outside?.[Symbol.asyncDispose]();
      assert.deepEqual(await server.stop(), []);
    });

    async function api(path: string): Promise<Response> {
      const { apiUrl, apiKey } = server.connection;
      return fetch(`${apiUrl}${path}`, { headers: { 'x-api-key': apiKey } });
    }

    async function report(sandbox: Sandbox): Promise<NetworkReport> {
      return (await (await api(`/sandboxes/${sandbox.sandboxId}/network`)).json()) as NetworkReport;
    }

    test('connections and bytes are counted, directly and by name, and so is what was denied, with its name', async () => {
      const [first, second] = outside.hosts;
      const network = { allowOut: ['allowed.test', second], denyOut: [EVERYTHING] };
      const sandbox = await Sandbox.create({ ...server.options, network });
      const before = await report(sandbox);
      assert.deepEqual(before.traffic, { connections: 0, sentBytes: 0, receivedBytes: 0, denied: 0 });
      await sandbox.commands.run(`
        head -c 100000 /dev/zero > /tmp/body
        curl --silent --insecure --data-binary @/tmp/body https://allowed.test/ > /tmp/1
        curl --silent --data-binary @/tmp/body http://${second}/ > /tmp/2
        curl --silent --max-time 2 https://other.test/
        curl --silent --max-time 2 --resolve other.test:443:${second} https://other.test/ --insecure
        curl --silent --max-time 2 --resolve sneaky.test:443:${first} https://sneaky.test/
        curl --silent --max-time 2 http://10.0.0.1/
        echo hello > /dev/udp/${first}/7002; true`);
      const { traffic, denials, network: shown } = await report(sandbox);
      assert.equal(traffic.connections, 3);
      for (const bytes of [traffic.sentBytes, traffic.receivedBytes])
        assert(bytes > 200_000 && bytes < 300_000, `${bytes}`);
      const seen = denials.map(({ protocol, name, address, port }) => [protocol, name, address, port].join(' '));
      for (const expected of [
        'dns other.test  ',
        `tcp sneaky.test ${first} 443`,
        'tcp  10.0.0.1 80',
        `udp allowed.test ${first} 7002`,
      ]) {
        assert(seen.includes(expected), `${expected} is not among ${JSON.stringify(seen)}`);
      }
      assert(traffic.denied >= 4);
      assert.deepEqual(shown.allowOut, network.allowOut);

      const { stdout } = await promisify(execFile)(process.execPath, [
        CLI,
        'network',
        sandbox.sandboxId,
        '--data',
        server.data,
      ]);
      assert.match(stdout, /^allowed +allowed\.test, /m);
      assert.match(stdout, /tcp {2}sneaky\.test 203\.0\.113\.10:443 {2}the name is not allowed/);
      const metrics = await (await api('/metrics/network')).text();
      assert.match(metrics, new RegExp(`sandport_egress_connections_total{sandbox="${sandbox.sandboxId}"} 3\n`));
      await sandbox.kill();
    });

    test('a private range that the operator permits is reached, directly and by name, under the rules', async () => {
      const open = await Sandbox.create(server.options);
      const get = async (sandbox: Sandbox, url: string): Promise<string> =>
        (await sandbox.commands.run(`curl --silent --max-time 3 ${url} || echo "exit $?"`)).stdout.trim();
      assert.equal(await get(open, `http://${outside.permitted}/`), `outside ${outside.permitted}`);
      assert.equal(await get(open, 'http://permitted.test/'), `outside ${outside.permitted}`);
      await open.updateNetwork({ allowOut: ['permitted.test'], denyOut: [EVERYTHING] });
      assert.equal(await get(open, 'http://permitted.test/'), `outside ${outside.permitted}`);
      assert.match(await get(open, `http://${outside.permitted}/`), /exit/);
      assert.match(await get(open, 'http://100.64.113.11/'), /exit/);
      await open.kill();
    });

    test('a sandbox has no more connections than it may, and no more bandwidth', async () => {
      const direct = await Sandbox.create(server.options);
      await direct.files.write('/tmp/open.py', OPEN);
      const open = async (host: string, port: number): Promise<number> =>
        Number((await direct.commands.run(`python3 /tmp/open.py ${host} ${CONNECTIONS + 5} ${port}`)).stdout);
      assert.equal(await open(outside.hosts[0], 7001), CONNECTIONS);
      const network = { allowOut: ['allowed.test'], denyOut: [EVERYTHING] };
      const byName = await Sandbox.create({ ...server.options, network });
      await byName.files.write('/tmp/open.py', OPEN_BY_NAME);
      const { stdout } = await byName.commands.run(`python3 /tmp/open.py allowed.test ${CONNECTIONS + 5}`);
      assert.equal(Number(stdout), CONNECTIONS, 'through the proxy too');
      const tooMany = (await report(byName)).denials.find(({ reason }) => reason === 'too many connections');
      assert.equal(tooMany?.count, 5);
      await byName.kill();
      const rounds = 3_000_000;
      const took = async (sandbox: Sandbox): Promise<number> => {
        const command = `head -c ${rounds} /dev/zero | curl --silent --output /dev/null --write-out '%{time_total}' --data-binary @- http://${outside.hosts[1]}/`;
        return Number((await sandbox.commands.run(command)).stdout);
      };
      // Both ways, of which one waits for the other in part.
      const least = (rounds * 8) / (MEGABITS * 1_000_000);
      // Connections count until both sides have closed them.
      const seconds = await waitFor('there is room for a connection', () => took(direct));
      assert(seconds > 0.8 * least, `${seconds} s for what takes ${least} s at least`);
      await direct.kill();
    });
  });
}
