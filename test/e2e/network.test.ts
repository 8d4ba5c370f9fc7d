// What a sandbox reaches and what it does not, from inside.
import assert from 'node:assert/strict';
import { createServer, type Server } from 'node:http';
import { networkInterfaces } from 'node:os';
import { after, before, describe, test } from 'node:test';
import { Sandbox } from 'e2b';
import { Sandbox as OwnSandbox } from 'sandport';
import { runtimes } from '../support/machine.ts';
import { Outside } from '../support/outside.ts';
import { SandportServer } from '../support/sandport-server.ts';
import { waitFor } from '../support/wait-for.ts';

for (const runtime of runtimes) {
  describe(`network under ${runtime}`, () => {
    let server: SandportServer;
    let outside: Outside;
    let service: Server;
    let servicePort: number;
    /** With the internet and without: no test changes their rules. */
    let open: Sandbox;
    let closed: Sandbox;

    before(async () => {
      outside = await Outside.open();
      server = await SandportServer.start(runtime);
      [open, closed] = await Promise.all([
        Sandbox.create(server.options),
        Sandbox.create({ ...server.options, allowInternetAccess: false }),
      ]);
      // Something of the machine that no sandbox shall reach.
      service = createServer((_request, response) => response.end('the machine'));
      await new Promise<void>((resolve) => service.listen(0, '0.0.0.0', resolve));
      servicePort = (service.address() as { port: number }).port;
    });
    after(async () => {
      service?.close();
      service?.closeAllConnections();
      await outside?.[Symbol.asyncDispose]();
      assert.deepEqual(await server.stop(), []);
    });

    async function reach(sandbox: Sandbox | OwnSandbox, target: string): Promise<string> {
      const { stdout } = await sandbox.commands.run(`curl --silent --max-time 4 http://${target}/ || echo "exit $?"`);
      return stdout.trim();
    }

    test('the internet is reached unless it is switched off, and then it is refused at once', async () => {
      const [host] = outside.hosts;
      assert.equal(await reach(open, host), `outside ${host}`);
      assert.match(await reach(closed, host), /^exit 7$/, 'refused, not timed out');
      const { stdout } = await closed.commands.run('timeout 4 getent hosts example.com; echo $?');
      assert.equal(stdout, '2\n', 'names are refused at once too');
      assert.equal((await closed.getInfo()).allowInternetAccess, false);
      await closed.commands.run('python -m http.server 3000', { background: true });
      await waitFor(
        'it is reached from outside all the same',
        async () => (await fetch(`https://${closed.getHost(3000)}/`)).ok,
      );
    });

    test('addresses are denied and allowed, and both can be changed while it runs', async () => {
      const [first, second] = outside.hosts;
      const sandbox = await Sandbox.create({ ...server.options, network: { denyOut: [`${first}/32`] } });
      assert.match(await reach(sandbox, first), /^exit/);
      assert.equal(await reach(sandbox, second), `outside ${second}`);
      await sandbox.updateNetwork({ allowOut: [first], denyOut: ({ allTraffic }) => [allTraffic] });
      assert.equal(await reach(sandbox, first), `outside ${first}`, 'allow is looked at first');
      assert.match(await reach(sandbox, second), /^exit/);
      await sandbox.updateNetwork({});
      assert.equal(await reach(sandbox, second), `outside ${second}`, 'what is left out is cleared');
      await sandbox.updateNetwork({
        allowOut: ['203.0.113.0/24', first],
        denyOut: ['203.0.113.0/28', '203.0.113.0/24', '0.0.0.0/0'],
      });
      assert.equal(await reach(sandbox, second), `outside ${second}`, 'ranges may lie within each other');
      await sandbox.kill();
    });

    test('ping works where the rules let it, and sockets for packets of any kind do not, also for root', async () => {
      const [first, second] = outside.hosts;
      const sandbox = await Sandbox.create({ ...server.options, network: { denyOut: [second] } });
      const ping = async (host: string): Promise<string> =>
        (await sandbox.commands.run(`ping -c 1 -W 2 ${host} > /dev/null && echo answered; true`)).stdout;
      assert.equal(await ping(first), 'answered\n');
      assert.equal(await ping(second), '');
      const { stdout } = await sandbox.commands.run(`sudo python3 -c "
import socket
for family, protocol in [(socket.AF_INET, socket.IPPROTO_RAW), (socket.AF_INET, socket.IPPROTO_ICMP), (socket.AF_PACKET, 0)]:
    try: socket.socket(family, socket.SOCK_RAW, protocol); print('opened')
    except PermissionError: print('not permitted')
"`);
      assert.equal(stdout, 'not permitted\n'.repeat(3));
      await sandbox.kill();
    });

    test('our own client changes rules alike', async () => {
      const [first] = outside.hosts;
      await using sandbox = await OwnSandbox.create({
        ...server.options,
        network: { denyOut: ({ allTraffic }) => [allTraffic] },
      });
      assert.match(await reach(sandbox, first), /^exit/);
      await sandbox.updateNetwork({ allowInternetAccess: true });
      assert.equal(await reach(sandbox, first), `outside ${first}`);
    });

    test('the machine, its gateway and its other networks are not reached', async () => {
      const port = server.connection.domain.split(':')[1];
      const own = Object.values(networkInterfaces())
        .flatMap((addresses) => addresses ?? [])
        .filter(({ family, internal }) => family === 'IPv4' && !internal)
        .map(({ address }) => address);
      const targets = new Set([
        ...own,
        outside.machine,
        '169.254.0.22',
        '169.254.169.254',
        '127.0.0.1',
        '10.0.0.1',
        '192.168.0.1',
      ]);
      assert.match(await reach(open, outside.permitted), /^exit/, 'not without the operator');
      for (const target of targets) {
        assert.match(await reach(open, `${target}:${servicePort}`), /^exit/, target);
        assert.match(await reach(open, `${target}:${port}`), /^exit/, target);
      }
    });

    test('one sandbox does not reach another, at no address', async () => {
      const other = await Sandbox.create(server.options);
      await other.commands.run('python -m http.server 3000', { background: true });
      await waitFor('the other answers', async () => (await fetch(`https://${other.getHost(3000)}/`)).ok);
      // The addresses of all slots in use are in the machine's routes.
      const { execFileSync } = await import('node:child_process');
      const routes = execFileSync('ip', ['route'], { encoding: 'utf8' });
      const own = new RegExp(`^(198\\.[0-9.]+) dev sp${server.instance}-`, 'gm');
      const addresses = [...routes.matchAll(own)].map((match) => match[1]!);
      assert(addresses.length >= 2);
      for (const address of addresses) assert.match(await reach(open, `${address}:3000`), /^exit/, address);
      await other.kill();
    });

    test('its own host name resolves inside, so that servers which ask for it start at once', async () => {
      const { stdout } = await closed.commands.run('getent hosts "$(hostname)"; getent hosts localhost');
      assert.match(stdout, /169\.254\.0\.21/);
    });
  });
}
