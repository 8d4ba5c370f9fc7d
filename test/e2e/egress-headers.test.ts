// Headers that the sandbox never sees, and a proxy of one's own: what the rules of `network` do besides letting through.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Sandbox } from 'e2b';
import { Sandbox as OwnSandbox } from 'sandport';
import { runtimes } from '../support/machine.ts';
import { Outside } from '../support/outside.ts';
import { SandportServer } from '../support/sandport-server.ts';

const EVERYTHING = '0.0.0.0/0';
const SECRET = 'Bearer of-no-concern-to-the-sandbox';
const PROXY = { address: 'proxy.test:1080', username: 'user', password: 'password' };

for (const runtime of runtimes) {
  describe(`headers and proxies under ${runtime}`, () => {
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

    async function run(sandbox: Sandbox | OwnSandbox, command: string): Promise<string> {
      return (await sandbox.commands.run(`${command} || echo "exit $?"`)).stdout.trim();
    }

    const headersOf = async (sandbox: Sandbox | OwnSandbox, url: string): Promise<Record<string, string>> =>
      JSON.parse(
        await run(sandbox, `curl --silent --show-error --max-time 5 -H 'authorization: mine' ${url}`),
      ) as never;

    test('requests to a named host get headers, which the sandbox never sees, and no others do', async () => {
      const sandbox = await Sandbox.create({
        ...server.options,
        network: {
          rules: {
            'allowed.test': [{ transform: { headers: { Authorization: SECRET, 'X-Team': 'one' } } }],
            '*.wild.test': [{ transform: { headers: { 'X-Team': 'two' } } }],
          },
        },
      });
      for (const url of ['https://allowed.test/headers', 'http://allowed.test/headers']) {
        const headers = await headersOf(sandbox, url);
        assert.deepEqual([headers.authorization, headers['x-team']], [SECRET, 'one'], url);
        assert.equal(headers.host, 'allowed.test');
      }
      assert.equal((await headersOf(sandbox, 'https://api.wild.test/headers'))['x-team'], 'two');
      // Another host shows its own certificate, which this sandbox does not trust.
      assert.match(await run(sandbox, 'curl --silent --max-time 5 https://other.test/headers'), /exit 60/);
      assert.equal((await headersOf(sandbox, '--insecure https://other.test/headers')).authorization, 'mine');
      const everything = await run(
        sandbox,
        'sudo grep -rIl of-no-concern / --include=* --exclude-dir=proc --exclude-dir=sys 2>/dev/null; env',
      );
      assert.doesNotMatch(everything, /of-no-concern|^\//m);

      const { network } = await sandbox.getInfo();
      assert.deepEqual(network?.rules?.['allowed.test'], [
        { transform: { headers: { Authorization: '***', 'X-Team': '***' } } },
      ]);
      await sandbox.kill();
    });

    test('requests to other ports of a named host get no headers, and their TLS is not ended', async () => {
      const sandbox = await Sandbox.create({
        ...server.options,
        network: {
          allowOut: ['allowed.test'],
          denyOut: [EVERYTHING],
          rules: { 'allowed.test': [{ transform: { headers: { Authorization: SECRET, 'X-Team': 'one' } } }] },
        },
      });
      await sandbox.files.write('/tmp/ca.pem', await outside.authority());
      assert.equal((await headersOf(sandbox, 'https://allowed.test/headers'))['x-team'], 'one');
      for (const url of [
        'http://allowed.test:8080/headers',
        '--cacert /tmp/ca.pem https://allowed.test:8443/headers',
      ]) {
        const headers = await headersOf(sandbox, url);
        assert.deepEqual([headers.authorization, headers['x-team']], ['mine', undefined], url);
      }
      await sandbox.kill();
    });

    test('programs that bring their own authorities accept the host, and bodies and sockets pass', async () => {
      const rules = { 'allowed.test': [{ transform: { headers: { 'X-Secret': SECRET } } }] };
      const sandbox = await Sandbox.create({
        ...server.options,
        network: { allowOut: ({ rules }) => [...rules.keys()], denyOut: [EVERYTHING], rules },
      });
      const python = `python3 -c "import urllib.request; print(urllib.request.urlopen('https://allowed.test/headers').read().decode())"`;
      assert.match(await run(sandbox, python), /"x-secret":"Bearer/);
      const node = `node -e "fetch('https://allowed.test/headers').then((r) => r.text()).then(console.log)"`;
      assert.match(await run(sandbox, node), /"x-secret":"Bearer/);
      const body =
        'head -c 3000000 /dev/zero | curl --silent --max-time 20 --data-binary @- https://allowed.test/ | wc -c';
      assert.equal(await run(sandbox, body), '3000000');
      const chunked = `head -c 300000 /dev/zero | curl --silent --max-time 20 -H 'Transfer-Encoding: chunked' --data-binary @- https://allowed.test/ | wc -c`;
      assert.equal(await run(sandbox, chunked), '300000');
      await sandbox.kill();
    });

    test('a host that closes a connection as it is used again is asked once more', async () => {
      const sandbox = await Sandbox.create({
        ...server.options,
        network: { rules: { 'allowed.test': [{ transform: { headers: { 'X-Secret': SECRET } } }] } },
      });
      for (const scheme of ['http', 'https']) {
        const [last, next] = [`${scheme}://allowed.test/last`, `${scheme}://allowed.test/`];
        const said = await run(sandbox, `curl --silent --max-time 5 ${last} ${next} --write-out ' %{num_connects}\\n'`);
        assert.equal(said, `outside ${outside.hosts[0]} 1\noutside ${outside.hosts[0]} 0`);
        const sent = `--request DELETE --write-out ' %{http_code}'`;
        assert.match(await run(sandbox, `curl --silent --max-time 5 ${last} --next --silent ${sent} ${next}`), / 502$/);
      }
      await sandbox.kill();
    });

    test('a request for another host, one that is sent back, and a host with another certificate get nothing', async () => {
      const headers = { 'X-Secret': SECRET };
      const sandbox = await Sandbox.create({
        ...server.options,
        network: {
          rules: { 'allowed.test': [{ transform: { headers } }], 'distrusted.test': [{ transform: { headers } }] },
        },
      });
      const status = (args: string): Promise<string> =>
        run(
          sandbox,
          `curl --silent --max-time 5 --output /tmp/out --write-out '%{http_code}' ${args}; grep -c Bearer /tmp/out`,
        );
      assert.equal(await status(`-H 'Host: other.test' https://allowed.test/headers`), '4210\nexit 1');
      assert.equal(await status(`-X TRACE https://allowed.test/headers`), '4210\nexit 1');
      assert.equal(await status(`https://distrusted.test/headers`), '5020\nexit 1');
      // The second host would take the name for its own: it is not asked.
      const forged = await run(
        sandbox,
        `curl --silent --resolve allowed.test:443:${outside.hosts[1]} https://allowed.test/`,
      );
      assert.equal(forged, `outside ${outside.hosts[0]}`);
      await sandbox.kill();
    });

    test('rules are put to a sandbox that runs, and taken away again, by either client', async () => {
      await using sandbox = await OwnSandbox.create(server.options);
      const rules = new Map([['allowed.test', [{ transform: { headers: { 'X-Secret': SECRET } } }]]]);
      assert.match(await run(sandbox, 'curl --silent https://allowed.test/headers'), /exit 60/);
      await sandbox.updateNetwork({ rules });
      assert.equal((await headersOf(sandbox, 'https://allowed.test/headers'))['x-secret'], SECRET);
      await sandbox.updateNetwork({});
      assert.match(await run(sandbox, 'curl --silent https://allowed.test/headers'), /exit 60/);
      assert.equal((await headersOf(sandbox, '--insecure https://allowed.test/headers'))['x-secret'], undefined);
    });

    test('rules that cannot be are refused, and no value of a header is repeated', async () => {
      const refused = async (rules: object): Promise<string> => {
        const network = { rules } as never;
        const error = await Sandbox.create({ ...server.options, network }).then(
          () => assert.fail('accepted'),
          (error: Error) => error,
        );
        return error.message;
      };
      const one = (headers: object): object => [{ transform: { headers } }];
      assert.match(await refused({ '*': one({ a: 'b' }) }), /invalid network rule domain "\*"/);
      assert.match(await refused({ '192.0.2.1': one({ a: 'b' }) }), /invalid network rule domain/);
      assert.match(await refused({ 'a.test': one({ Host: 'b' }) }), /"Host" cannot be set/);
      const message = await refused({ 'a.test': one({ 'X-A': `${SECRET}\r\nX-B: c` }) });
      assert.match(message, /invalid value of the header "X-A"/);
      assert(!message.includes(SECRET));
      assert.match(await refused({ 'a.test': one({ 'X-A': '${e2b.secrets.key}' }) }), /keeps no secrets/);
    });

    test('with a proxy all TCP leaves through it, after the rules, and by name where a name is allowed', async () => {
      const sandbox = await Sandbox.create({
        ...server.options,
        network: { allowOut: ['allowed.test', outside.hosts[1]], denyOut: [EVERYTHING], egressProxy: PROXY },
      });
      const get = (target: string): Promise<string> => run(sandbox, `curl --silent --insecure --max-time 5 ${target}`);
      assert.equal(await get('https://allowed.test/'), `outside ${outside.hosts[0]}`);
      assert.equal(await get('http://allowed.test/'), `outside ${outside.hosts[0]}`);
      assert.equal(await get(`http://${outside.hosts[1]}/`), `outside ${outside.hosts[1]}`);
      assert.match(await get(`http://${outside.hosts[0]}/`), /exit/);
      assert.deepEqual(await outside.dialled(), ['allowed.test:443', 'allowed.test:80', `${outside.hosts[1]}:80`]);
      const { network } = await sandbox.getInfo();
      assert.deepEqual(network?.egressProxy, { address: PROXY.address, username: PROXY.username });

      const wrong = { ...PROXY, password: 'another' };
      await sandbox.updateNetwork({ egressProxy: wrong });
      assert.match(await get(`http://${outside.hosts[1]}/`), /exit/, 'without the proxy nothing gets out');
      await sandbox.updateNetwork({ egressProxy: { address: `${outside.hosts[0]}:7001` } });
      assert.match(await get(`http://${outside.hosts[1]}/`), /exit/, 'nor through something else');
      await sandbox.updateNetwork({});
      assert.equal(await get(`http://${outside.hosts[1]}/`), `outside ${outside.hosts[1]}`);
      await sandbox.kill();
    });

    test('with a proxy that is down connections fail, and none leaves without it', async () => {
      const [first, second] = outside.hosts;
      const tries = outside.watchConnections([80, 443, 7001]);
      const sandbox = await Sandbox.create({
        ...server.options,
        network: { allowOut: ['allowed.test', second], denyOut: [EVERYTHING], egressProxy: PROXY },
      });
      const tryAll = (): Promise<string> =>
        run(
          sandbox,
          `for url in http://allowed.test/ https://allowed.test/ http://${second}/ http://${second}:7001/ http://${first}/
           do curl --silent --insecure --max-time 3 --output /dev/null $url && echo $url; done; echo done`,
        );
      assert.match(await tryAll(), /allowed.test/, 'it would leave');
      // Nobody listens there, and nobody is there.
      for (const address of [`${first}:1`, '203.0.113.99:1080']) {
        await sandbox.updateNetwork({
          allowOut: ['allowed.test', second],
          denyOut: [EVERYTHING],
          egressProxy: { address },
        });
        const before = tries.count();
        assert.equal(await tryAll(), 'done', address);
        assert.equal(tries.count(), before, address);
      }
      await sandbox.kill();
    });

    test('a proxy that cannot be is refused before there is a sandbox', async () => {
      const refused = (egressProxy: object): Promise<void> =>
        assert.rejects(Sandbox.create({ ...server.options, network: { egressProxy } as never }), /egress proxy/);
      await refused({ address: 'proxy.test' });
      await refused({ address: 'proxy.test:70000' });
      await refused({ address: 'nowhere.test:1080' });
      await refused({ address: 'metadata.test:1080' });
      await refused({ address: '10.0.0.1:1080' });
      await refused({ address: 'proxy.test:1080', password: 'alone' });
      await refused({ address: 'proxy.test:1080', username: 'x'.repeat(256) });
    });
  });
}
