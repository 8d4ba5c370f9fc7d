// Rules by name: what is reached, under which name, and that a name in a packet proves nothing.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { after, before, describe, test } from 'node:test';
import { Sandbox } from 'e2b';
import { HeldConnections } from '../support/held-connections.ts';
import { runtimes } from '../support/machine.ts';
import { Outside, PRIVATE_NAMES } from '../support/outside.ts';
import { SandportServer } from '../support/sandport-server.ts';
import { waitFor } from '../support/wait-for.ts';

const EVERYTHING = '0.0.0.0/0';

/** Heads that two readers could take for requests to two hosts, or that ask for a way past the check of the host. */
const HEADS = [
  'CONNECT other.test:80 HTTP/1.1|Host: allowed.test||',
  'CONNECT allowed.test:80 HTTP/1.1|Host: allowed.test||',
  'GET http://other.test/ HTTP/1.1|Host: allowed.test||',
  'GET //other.test/ HTTP/1.1|Host: other.test||',
  'GET / HTTP/1.1|Host: allowed.test|Host: other.test||',
  'GET / HTTP/1.1|Host: other.test|Host: allowed.test||',
  'GET / HTTP/1.1|Host: allowed.test| other.test||',
  'GET / HTTP/1.1|Host : allowed.test||',
  'GET / HTTP/1.1| Host: allowed.test||',
  'GET / HTTP/1.1|Host: allowed.test@other.test||',
  'GET / HTTP/1.1|Host: other.test#.allowed.test||',
  'GET / HTTP/1.1|Host: allowed.test, other.test||',
  'GET / HTTP/1.1|Host: allowed.test\\0.other.test||',
  'GET / HTTP/1.1|Host: 203.0.113.10||',
  'GET / HTTP/1.1|Host:||',
  'GET / HTTP/1.0||',
  'GET / HTTP/1.1\\nHost: allowed.test\\n\\n',
  'POST / HTTP/1.1|Host: allowed.test|Content-Length: 5|Transfer-Encoding: chunked||0||',
  'PRI * HTTP/2.0||SM||',
];

/** `heads.py HOST`, with heads on standard input; says of each what came back, as JSON. */
const SEND_HEADS = `
import json, socket, sys
said = []
for line in sys.stdin.read().splitlines():
    head = line.replace('|', '\\r\\n').encode().decode('unicode_escape').encode('latin1')
    answer = b''
    try:
        with socket.create_connection((sys.argv[1], 80), timeout=5) as sock:
            sock.sendall(head)
            while part := sock.recv(4096): answer += part
    except OSError as error: answer += type(error).__name__.encode()
    said.append(answer.decode('latin1'))
print(json.dumps(said))
`;

/** `hello.py HOST NAME RECORD`: a TLS hello in records of so many bytes, each in a packet; says what came back first. */
const SEND_HELLO = `
import socket, ssl, struct, sys, time
context = ssl.create_default_context(); context.check_hostname = False; context.verify_mode = ssl.CERT_NONE
into, out = ssl.MemoryBIO(), ssl.MemoryBIO()
try: context.wrap_bio(into, out, server_hostname=sys.argv[2] or None).do_handshake()
except ssl.SSLWantReadError: pass
message = out.read()[5:]
size = int(sys.argv[3])
try:
    with socket.create_connection((sys.argv[1], 443), timeout=5) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for at in range(0, len(message), size):
            part = message[at:at + size]
            sock.sendall(b'\\x16\\x03\\x01' + struct.pack('!H', len(part)) + part); time.sleep(0.002)
        print(sock.recv(1).hex())
except OSError as error: print(type(error).__name__)
`;

/** `ask.py NAME…`: the resolver's code for each name, asked by TCP (RFC 1035, section 4.2.2) on one connection. */
const ASK_BY_TCP = `
import socket, struct, sys
sock = socket.create_connection(('169.254.0.22', 53), timeout=5)
for name in sys.argv[1:]:
    labels = b''.join(bytes([len(label)]) + label.encode() for label in name.split('.'))
    query = struct.pack('!HHHHHH', 4711, 0x0100, 1, 0, 0, 0) + labels + b'\\0\\0\\1\\0\\1'
    sock.sendall(struct.pack('!H', len(query)) + query)
    answer = b''
    while len(answer) < 2 or len(answer) < 2 + struct.unpack('!H', answer[:2])[0]: answer += sock.recv(4096)
    print(name, answer[5] & 15)
`;

const CONNECTIONS = 1000;
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

    test('heads that could be read as requests to another host are not passed on', async () => {
      await sandbox.files.write('/tmp/heads.py', SEND_HEADS);
      await sandbox.files.write(
        '/tmp/heads',
        ['GET / HTTP/1.1|Host: allowed.test|Connection: close||', ...HEADS].join('\n'),
      );
      const { stdout } = await sandbox.commands.run('python3 /tmp/heads.py allowed.test < /tmp/heads');
      const [proper, ...answers] = JSON.parse(stdout) as string[];
      assert.match(proper!, /200 OK[\s\S]*outside/);
      answers.forEach((answer, index) => {
        assert.match(answer, /^(?:|ConnectionResetError)$/, HEADS[index]);
      });
      const http2 = await curl('--http2-prior-knowledge http://allowed.test/');
      assert.match(http2, /exit/);
      const tunnel = await curl('--proxytunnel --proxy http://allowed.test:80 http://other.test/');
      assert.match(tunnel, /exit/);
    });

    test('the name of a TLS hello counts in however many records and packets it comes, and without one nothing passes', async () => {
      await sandbox.files.write('/tmp/hello.py', SEND_HELLO);
      const hello = async (name: string, size: number): Promise<string> =>
        (await sandbox.commands.run(`python3 /tmp/hello.py allowed.test '${name}' ${size}`)).stdout.trim();
      for (const name of ['allowed.test', 'ALLOWED.Test']) assert.equal(await hello(name, 40), '16', name);
      for (const name of ['other.test', 'allowed.test.other.test', 'xallowed.test', '']) {
        for (const size of [40, 10_000]) assert.match(await hello(name, size), /^(?:|ConnectionResetError)$/, name);
      }
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

    test('the resolver asked by TCP answers for allowed names only, too', async () => {
      await sandbox.files.write('/tmp/ask.py', ASK_BY_TCP);
      const { stdout } = await sandbox.commands.run(
        'python3 /tmp/ask.py allowed.test secret-by-tcp.other.test api.wild.test metadata.test',
      );
      const [refused, found] = [5, 0];
      assert.deepEqual(stdout.trimEnd().split('\n'), [
        `allowed.test ${found}`,
        `secret-by-tcp.other.test ${refused}`,
        `api.wild.test ${found}`,
        `metadata.test ${refused}`,
      ]);
      assert(!(await outside.asked()).some((name) => name.includes('secret')));
    });

    test('names do not lead to private addresses, and long answers come whole', async () => {
      const open = await Sandbox.create(server.options);
      const addresses = async (name: string): Promise<number> =>
        Number((await open.commands.run(`getent ahostsv4 ${name} | grep -c STREAM; true`)).stdout);
      assert.equal(await addresses('metadata.test'), 0);
      assert.equal(await addresses('inner.test'), 0);
      for (const name of PRIVATE_NAMES) assert.equal(await addresses(name), 0, name);
      assert.equal(await addresses('other.test'), 1);
      assert.equal(await addresses('large.test'), 120);
      await open.kill();
    });

    test('no name has an address of IPv6, and what is not IPv4 is not reached, nor by rules that allow it', async () => {
      const allowOut = ['2001:db8::10', '::ffff:203.0.113.10', '64:ff9b::/96', 'allowed.test'];
      const one = await create(allowOut);
      const { stdout } = await one.commands.run(`getent ahostsv6 allowed.test | grep -v ::ffff; python3 -c "
import socket
for host in ['2001:db8::10', '::ffff:203.0.113.10', '64:ff9b::cb00:710a']:
    try:
        with socket.create_connection((host, 80), timeout=5) as sock:
            sock.sendall(b'GET / HTTP/1.0\\r\\n\\r\\n'); print(host, sock.recv(100))
    except socket.timeout: print(host, 'times out')
    except OSError: pass
"; true`);
      assert.equal(stdout, '', 'all fail at once');
      assert.deepEqual((await one.getInfo()).network?.allowOut, allowOut);
      await one.kill();
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
      await waitFor('the program has ended with its connection', async () => {
        const { stdout } = await one.commands.run('pgrep -fc "python3.*allowed.tes[t]"; true');
        return stdout === '0\n';
      });
      await one.kill();
    });

    test('changes of rules under a thousand connections by name lose none that is allowed', async () => {
      const one = await create(['allowed.test']);
      const held = await HeldConnections.open(one, 'allowed.test', { count: CONNECTIONS, protocol: 'http' });
      await waitFor('all are open', () => held.counts.alive === CONNECTIONS, 60_000);
      for (let round = 0; round < 10; round++) {
        const others = round % 2 ? ['*.wild.test'] : ['203.0.113.99'];
        await one.updateNetwork({ allowOut: ['allowed.test', ...others], denyOut: [EVERYTHING] });
      }
      const { exchanged } = held.counts;
      await waitFor('all carry requests', () => held.counts.exchanged > exchanged + 2 * CONNECTIONS, 60_000);
      assert.deepEqual([held.counts.alive, held.counts.ended], [CONNECTIONS, 0]);
      await one.updateNetwork({ allowOut: ['*.wild.test'], denyOut: [EVERYTHING] });
      await waitFor('all are cut', () => held.counts.ended === CONNECTIONS, 60_000);
      await held.close();
      await one.kill();
    });

    test('without the process for names what needs it is refused, what does not goes on, until it is back', async () => {
      const second = outside.hosts[1];
      const one = await create(['allowed.test', second]);
      const [pid] = pids(`egress/worker.ts ${server.data}`);
      const tries = outside.watchConnections([80, 443]);
      // Nobody starts another one.
      await server.crash();
      process.kill(Number(pid), 'SIGKILL');
      const [first] = outside.hosts;
      for (const url of [
        'http://allowed.test/',
        `https://allowed.test/ --resolve allowed.test:443:${first}`,
        `http://allowed.test/ --resolve allowed.test:80:${first}`,
        `http://other.test/ --resolve other.test:80:${first}`,
      ]) {
        assert.match(await curl(url, one), /exit/, url);
      }
      assert.equal(tries.count(), 0);
      assert.equal(await curl(`http://${second}/`, one), `outside ${second}`);
      await server.launch();
      assert.equal(await curl('https://allowed.test/', one), `outside ${first}`);
      assert.match(await curl(`http://other.test/ --resolve other.test:80:${first}`, one), /exit/);
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
