// Which servers a sandbox has, as seen by our client, by the command on the machine, and from inside.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { type PortInfo, Sandbox, TimeoutError } from 'sandport';
import { runtimes } from '../support/machine.ts';
import { SandportServer } from '../support/sandport-server.ts';
import { waitFor } from '../support/wait-for.ts';

for (const runtime of runtimes) {
  describe(`ports under ${runtime}`, () => {
    let server: SandportServer;
    let sandbox: Sandbox;

    before(async () => {
      server = await SandportServer.start(runtime);
      sandbox = await Sandbox.create(server.options);
    });
    after(async () => {
      assert.deepEqual(await server.stop(), []);
    });

    test('a server is waited for, listed with its URL and program, and its end is told', async () => {
      assert.deepEqual(await sandbox.ports.list(), []);
      const opened: PortInfo[] = [];
      const closed: PortInfo[] = [];
      await using _open = await sandbox.ports.onOpen((port) => void opened.push(port));
      await using _close = await sandbox.ports.onClose((port) => void closed.push(port));
      const waiting = sandbox.ports.waitFor(3000);
      const command = await sandbox.commands.run('exec python3 -m http.server 3000', { background: true });
      const port = await waiting;
      assert.equal(port.url, sandbox.getUrl(3000));
      assert.deepEqual([port.addresses, port.loopbackOnly], [['0.0.0.0'], false]);
      assert.equal(port.pid, command.pid);
      assert.match(port.program ?? '', /^python3/);
      assert((await fetch(port.url)).ok);
      assert.deepEqual(await sandbox.ports.list(), [port]);
      await waitFor('it is told', () => opened.length === 1);
      assert.deepEqual(opened, [port]);
      await command.kill();
      await waitFor('its end is told', () => closed.length === 1);
      assert.deepEqual(closed, [port]);
      assert.deepEqual(await sandbox.ports.list(), []);
    });

    test('servers on the loopback addresses are told as such', async () => {
      const command = await sandbox.commands.run(
        `exec python3 -c 'import socket, time
sockets = []
for family, address, port in ((socket.AF_INET, "127.0.0.1", 3001), (socket.AF_INET6, "::1", 3002), (socket.AF_INET6, "::", 3003)):
    s = socket.socket(family); s.bind((address, port)); s.listen(); sockets.append(s)
time.sleep(600)'`,
        { background: true },
      );
      await sandbox.ports.waitFor(3003);
      assert.deepEqual(
        (await sandbox.ports.list()).map(({ port, addresses, loopbackOnly }) => [port, addresses, loopbackOnly]),
        [
          [3001, ['127.0.0.1'], true],
          [3002, ['::1'], true],
          [3003, ['::'], false],
        ],
      );
      await command.kill();
    });

    test('a port that stays closed is not waited for longer than asked', async () => {
      await assert.rejects(sandbox.ports.waitFor(4000, { timeoutMs: 300 }), TimeoutError);
    });

    test('inside, the command "sandport" tells every user the URLs', async () => {
      const command = await sandbox.commands.run('exec python3 -m http.server 3000', { background: true });
      await sandbox.ports.waitFor(3000);
      for (const user of ['user', 'root']) {
        const run = async (line: string): Promise<string> => (await sandbox.commands.run(line, { user })).stdout;
        assert.equal(await run('sandport url 3000'), `${sandbox.getUrl(3000)}\n`);
        assert.equal(await run('sandport id; sandport domain'), `${sandbox.sandboxId}\n${server.connection.domain}\n`);
        assert.equal(await run('sandport ports'), `3000\t${sandbox.getUrl(3000)}\n`);
        assert.deepEqual(JSON.parse(await run('sandport ports --json')), { port: 3000, url: sandbox.getUrl(3000) });
        assert.match(await run('sandport'), /^sandport url PORT/);
      }
      for (const wrong of ['url', 'url 0', 'url 65536', 'url 080', "url '3000;id'", 'nothing', 'ports --xml']) {
        await assert.rejects(sandbox.commands.run(`sandport ${wrong}`), { exitCode: 2 });
      }
      await command.kill();
    });
  });
}
