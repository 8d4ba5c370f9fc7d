// Rules by name: what is reached, under which name, and that a name in a packet proves nothing.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { after, before, describe, test } from 'node:test';
import { Sandbox } from 'e2b';
import { runtimes } from '../support/machine.ts';
import { Outside } from '../support/outside.ts';
import { SandportServer } from '../support/sandport-server.ts';
import { waitFor } from '../support/wait-for.ts';

const EVERYTHING = '0.0.0.0/0';

for (const runtime of runtimes) {
  describe(`rules by name under ${runtime}`, () => {
    let server: SandportServer;
    let outside: Outside;
    let sandbox: Sandbox;

    before(async () => {
      outside = await Outside.open();
      server = await SandportServer.start(runtime, ['--nameserver', outside.nameserver]);
      sandbox = await create(['allowed.test', '*.wild.test']);
    });
    after(async () => {
      await outside?.[Symbol.asyncDispose]();
      assert.deepEqual(await server.stop(), []);
    });

    async function create(allowOut: string[]): Promise<Sandbox> {
      const made = await Sandbox.create({ ...server.options, network: { allowOut, denyOut: [EVERYTHING] } });
      await made.files.write('/tmp/ca.pem', await outside.authority());
      return made;
    }

    async function curl(args: string, from = sandbox): Promise<string> {
      const command = `curl --silent --max-time 5 --cacert /tmp/ca.pem ${args} || echo "exit $?"`;
      return (await from.commands.run(command)).stdout.trim();
    }

    test('names that are allowed are reached over HTTPS and HTTP, on any port, and nothing else is', async () => {
      const [first, second] = outside.hosts;
      for (const url of [
        'https://allowed.test/',
        'http://allowed.test/',
        'https://ALLOWED.test./',
        'https://api.wild.test/',
        'https://deep.api.wild.test/',
        'https://allowed.test:8443/',
      ]) {
        assert.equal(await curl(url), `outside ${first}`, url);
      }
      assert.equal(await curl('--data hello https://allowed.test/'), 'hello');
      for (const target of [
        'https://other.test/',
        'https://wild.test/',
        `http://${first}/`,
        `--insecure https://${first}/`,
        `https://other.test/ --resolve other.test:443:${second}`,
        `http://other.test/ --resolve other.test:80:${second}`,
        `http://${first}:7001/`,
        `telnet://${first}:7000`,
      ]) {
        assert.match(await curl(target), /exit \d+$/, target);
      }
    });

    test('a connection goes to where its name leads, whatever address it was made to', async () => {
      const [first, second] = outside.hosts;
      // The second host has a certificate for every name, and would answer.
      assert.equal(await curl(`https://allowed.test/ --resolve allowed.test:443:${second}`), `outside ${first}`);
      assert.equal(await curl(`http://allowed.test/ --resolve allowed.test:80:${second}`), `outside ${first}`);
      const both = await create(['both.test']);
      for (const host of outside.hosts) {
        assert.equal(await curl(`https://both.test/ --resolve both.test:443:${host}`, both), `outside ${host}`);
      }
      await both.kill();
    });

    test('each request of a plain connection has to name the host again', async () => {
      const script = `exec 3<>/dev/tcp/allowed.test/80
        printf 'GET / HTTP/1.1\\r\\nHost: allowed.test\\r\\n\\r\\n' >&3
        printf 'GET / HTTP/1.1\\r\\nHost: other.test\\r\\n\\r\\n' >&3
        timeout 5 cat <&3`;
      const { stdout } = await sandbox.commands.run(`bash -c "${script}"`);
      assert.match(stdout, /200 OK[\s\S]*outside [\s\S]*421 Misdirected[\s\S]*allowed\.test only/);
    });

    test('a plain connection can become a WebSocket, and not another HTTP', async () => {
      const upgrade = (protocol: string): string => `exec 3<>/dev/tcp/allowed.test/80
        printf 'GET / HTTP/1.1\\r\\nHost: allowed.test\\r\\nConnection: Upgrade\\r\\nUpgrade: ${protocol}\\r\\n\\r\\n' >&3
        sleep 0.3; echo and back >&3; timeout 2 cat <&3`;
      const { stdout } = await sandbox.commands.run(`bash -c "${upgrade('websocket')}" || true`);
      assert.match(stdout, /101 Switching[\s\S]*and back/);
      const other = await sandbox.commands.run(`bash -c "${upgrade('h2c')}" || true`);
      assert.doesNotMatch(other.stdout, /and back/);
    });

    test('the resolver answers for allowed names only, and asks nobody about others', async () => {
      const resolve = async (name: string): Promise<string> =>
        (await sandbox.commands.run(`getent ahostsv4 ${name} | head -1; true`)).stdout.split(' ')[0]!.trim();
      assert.equal(await resolve('allowed.test'), outside.hosts[0]);
      assert.equal(await resolve('secret-in-a-question.other.test'), '');
      const asked = await outside.asked();
      assert(asked.includes('allowed.test'));
      assert(!asked.some((name) => name.includes('secret')), `${asked}`);
    });

    test('names do not lead to private addresses, and long answers come whole', async () => {
      const open = await Sandbox.create(server.options);
      const addresses = async (name: string): Promise<number> =>
        Number((await open.commands.run(`getent ahostsv4 ${name} | grep -c STREAM; true`)).stdout);
      assert.equal(await addresses('metadata.test'), 0);
      assert.equal(await addresses('inner.test'), 0);
      assert.equal(await addresses('other.test'), 1);
      assert.equal(await addresses('large.test'), 120);
      await open.kill();
    });

    test('a name that is taken away is cut, one that stays goes on', async () => {
      const one = await create(['allowed.test', 'api.wild.test']);
      const hold = (name: string): Promise<unknown> =>
        one.commands.run(
          `python3 -c "import socket, ssl, time
context = ssl.create_default_context(cafile='/tmp/ca.pem')
connection = context.wrap_socket(socket.create_connection(('${name}', 443)), server_hostname='${name}')
for turn in range(10000):
    connection.sendall(b'GET / HTTP/1.1\\r\\nHost: ${name}\\r\\n\\r\\n')
    assert connection.recv(9999)
    open('/tmp/${name}', 'w').write(str(turn)); time.sleep(0.05)"`,
          { background: true },
        );
      await Promise.all([hold('allowed.test'), hold('api.wild.test')]);
      const turns = async (name: string): Promise<number> =>
        (await one.files.exists(`/tmp/${name}`)) ? Number(await one.files.read(`/tmp/${name}`)) : 0;
      for (const name of ['allowed.test', 'api.wild.test']) {
        await waitFor('it runs', async () => (await turns(name)) > 3);
      }
      await one.updateNetwork({ allowOut: ['api.wild.test', '203.0.113.99'], denyOut: [EVERYTHING] });
      const before = await turns('api.wild.test');
      await waitFor('the other goes on', async () => (await turns('api.wild.test')) > before + 10);
      const { stdout } = await one.commands.run('pgrep -f allowed.test/ -c; pgrep -fc "python3.*allowed.tes[t]"; true');
      assert.match(stdout, /^0/m, 'the program has ended with its connection');
      await one.kill();
    });

    test('rules by name hold while the server is away, and nothing passes without the process behind them', async () => {
      const name = `egress/worker.ts ${server.data}`;
      const pid = (): string | undefined => pids(name)[0];
      const started = pid();
      await server.crash();
      await sandboxStillWorks();
      await server.launch();
      assert.equal(pid(), started, 'the process was adopted');
      await sandboxStillWorks();
      process.kill(Number(started), 'SIGKILL');
      await waitFor('another process', () => pid() !== undefined && pid() !== started);
      await waitFor(
        'it works again',
        async () => (await curl('https://allowed.test/')) === `outside ${outside.hosts[0]}`,
      );
      assert.match(await curl('https://other.test/'), /exit/);
    });

    async function sandboxStillWorks(): Promise<void> {
      assert.equal(await curl('https://allowed.test/'), `outside ${outside.hosts[0]}`);
      assert.match(await curl(`https://other.test/ --resolve other.test:443:${outside.hosts[1]}`), /exit/);
    }
  });
}

function pids(command: string): string[] {
  try {
    return execFileSync('pgrep', ['-f', command], { encoding: 'utf8' }).trim().split('\n');
  } catch {
    return [];
  }
}
