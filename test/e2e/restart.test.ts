// A sandbox outlives the process that made it: after a crash its server, its URL and its commands are still there.
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { Sandbox } from 'e2b';
import { processesOfSandboxes, runtimes } from '../support/machine.ts';
import { SandportServer } from '../support/sandport-server.ts';
import { repeat } from '../support/shell.ts';
import { waitFor } from '../support/wait-for.ts';

for (const runtime of runtimes) {
  // One server for all of it: each test ends the sandboxes that it made.
  describe(`restart under ${runtime}`, () => {
    let server: SandportServer;
    before(async () => {
      server = await SandportServer.start(runtime);
    });
    after(async () => {
      assert.deepEqual(await server.stop(), []);
    });

    test('kill -9 of the control process loses no sandbox, no command and no URL', async () => {
      const sandbox = await Sandbox.create({ ...server.options, metadata: { keep: 'me' } });
      await sandbox.commands.run('python -m http.server 3000', { background: true });
      const url = `https://${sandbox.getHost(3000)}/`;
      await waitFor('the server inside answers', async () => (await fetch(url)).ok);
      const seen: string[] = [];
      const ticking = await sandbox.commands.run(`i=0; ${repeat(0.1, 'i=$((i+1)); echo $i')}`, {
        background: true,
        timeoutMs: 0,
        onStdout: (text) => void seen.push(text),
      });
      await waitFor('output', () => seen.join('').includes('3\n'));

      await server.crash();
      assert.equal((await fetch(url)).status, 200, 'the gateways serve on without the control process');
      const before = seen.length;
      await waitFor('output goes on without the control process', () => seen.length > before + 3);
      assert.equal((await fetch(`${server.connection.apiUrl}/health`)).status, 503, 'the API is away');

      await server.launch();
      assert.equal((await fetch(url)).status, 200);
      const info = await sandbox.getInfo();
      assert.deepEqual(info.metadata, { keep: 'me' });
      assert((await sandbox.commands.list()).some(({ pid }) => pid === ticking.pid));
      const again = seen.length;
      await waitFor('output goes on after the restart', () => seen.length > again + 3);
      const numbers = seen.join('').trim().split('\n').map(Number);
      assert.deepEqual(
        numbers,
        numbers.map((_, index) => index + 1),
        'no line of it is missing',
      );

      const second = await Sandbox.create(server.options);
      assert.notEqual(second.sandboxId, sandbox.sandboxId);
      assert.equal((await second.commands.run('echo new')).stdout, 'new\n');
      assert.equal(await sandbox.kill(), true);
      assert.equal((await fetch(url)).status, 502);
      await second.kill();
    });

    test('kill -9 in the midst of creations leaves nothing that nobody owns', async () => {
      const kept = await Sandbox.create(server.options);
      const attempts = Array.from({ length: 6 }, () =>
        Sandbox.create({ ...server.options, requestTimeoutMs: 20_000 }).catch(() => undefined),
      );
      await waitFor('some are half made', async () => (await readdir(join(server.data, 'bundles'))).length > 4);
      await server.crash();
      await Promise.all(attempts);
      const before = await readdir(join(server.data, 'bundles'));

      await server.launch();
      const listed = (await Sandbox.list(server.options).nextItems()).map(({ sandboxId }) => sandboxId);
      assert(listed.includes(kept.sandboxId));
      // New ones belong to sandboxes that are started ahead of time.
      const survivors = (await readdir(join(server.data, 'bundles'))).filter((name) => before.includes(name));
      assert.equal(survivors.length, listed.length, 'a bundle for each sandbox and no other');
      for (const id of listed) {
        const sandbox = await Sandbox.connect(id, server.options);
        assert.equal((await sandbox.commands.run('echo here')).stdout, 'here\n');
        await sandbox.kill();
      }
    });

    test('a sandbox whose processes were killed is taken off the list, and its URL answers 502', async () => {
      const sandbox = await Sandbox.create(server.options);
      const told = server.log().length;
      for (const pid of processesOfSandboxes(server.instance)) process.kill(pid, 'SIGKILL');
      await waitFor('it is gone', async () => (await Sandbox.list(server.options).nextItems()).length === 0);
      assert.equal((await fetch(`https://${sandbox.getHost(3000)}/`)).status, 502);
      assert.match(server.log().slice(told), /"reason":"exited"/);
    });

    test('with --keep a stop leaves sandboxes and their URLs, and the next start has them', async () => {
      await server.crash();
      await server.launch(['--keep']);
      const sandbox = await Sandbox.create(server.options);
      await sandbox.commands.run('python -m http.server 3000', { background: true });
      const url = `https://${sandbox.getHost(3000)}/`;
      await waitFor('the server inside answers', async () => (await fetch(url)).ok);
      await server.pause();
      const bundles = await readdir(join(server.data, 'bundles'));
      assert.equal(bundles.length, 1, 'what was started ahead of time has ended');
      assert.equal((await fetch(url)).status, 200);
      await server.launch();
      assert.equal((await sandbox.getInfo()).state, 'running');
      assert.equal(await sandbox.kill(), true);
      await waitFor('it is removed', () => !existsSync(join(server.data, 'bundles', bundles[0]!)));
    });

    test('a second server with the same data directory is refused', async () => {
      const output = await server.runAgain();
      assert.match(output, /another Sandport runs with this data directory/);
      assert.equal((await fetch(`${server.connection.apiUrl}/health`)).status, 200);
    });
  });
}
