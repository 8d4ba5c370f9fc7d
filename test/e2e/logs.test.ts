// What happened with a sandbox and in it, as the API tells it to the command line of the official clients.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Sandbox } from 'e2b';
import { Sandbox as OwnSandbox, SandboxNotFoundError } from 'sandport';
import { runtimes } from '../support/machine.ts';
import { SandportServer } from '../support/sandport-server.ts';

interface Entry {
  readonly timestamp: string;
  readonly level: string;
  readonly message: string;
  readonly fields: Readonly<Record<string, string>>;
}

for (const runtime of runtimes) {
  describe(`logs under ${runtime}`, () => {
    let server: SandportServer;
    let sandbox: Sandbox;

    before(async () => {
      server = await SandportServer.start(runtime);
      sandbox = await Sandbox.create(server.options);
      await sandbox.commands.run('echo hello', { envs: { PASSWORD: 'hidden' } });
      await sandbox.commands.run('exit 3').catch(() => {});
    });
    after(async () => {
      assert.deepEqual(await server.stop(), []);
    });

    async function ask(path: string) {
      const { apiUrl, apiKey } = server.connection;
      const response = await fetch(`${apiUrl}${path}`, { headers: { 'x-api-key': apiKey } });
      const text = await response.text();
      assert(!text.includes('hidden'), 'no environment is told');
      const body = JSON.parse(text) as { logs: Entry[]; logEntries: Entry[] };
      return { status: response.status, ...body };
    }
    const v1 = (query = '') => ask(`/sandboxes/${sandbox.sandboxId}/logs${query}`);
    const v2 = (query = '') => ask(`/v2/sandboxes/${sandbox.sandboxId}/logs${query}`);

    test('commands are told with their ends, the oldest first', async () => {
      const { logs, logEntries } = await v1();
      assert.equal(logEntries[0]?.message, 'sandbox started');
      const ends = logEntries.filter(({ message }) => message === 'command ended');
      assert.deepEqual(
        ends.map(({ level, fields }) => [level, fields.cmd, fields.exitCode]),
        [
          ['info', '/bin/bash -l -c echo hello', '0'],
          ['warn', '/bin/bash -l -c exit 3', '3'],
        ],
      );
      const lines = logs.map((one) => JSON.parse((one as unknown as { line: string }).line));
      assert.deepEqual(
        lines.map(({ level, logger, message }) => [level, logger, message]),
        logEntries.map(({ level, fields, message }) => [level, fields.logger, message]),
      );
      // As the command line goes on: from after the last one.
      const last = new Date(logs.at(-1)!.timestamp).getTime();
      assert.deepEqual((await v1(`?start=${last + 1}`)).logs, []);
    });

    test('the second version goes back, and chooses by level and text', async () => {
      const { logs } = await v2();
      assert.equal(logs.at(-1)?.message, 'sandbox started');
      assert.deepEqual(
        (await v2('?level=warn')).logs.map(({ fields }) => fields.exitCode),
        ['3'],
      );
      const started = (await v2('?direction=forward&search=command%20started&limit=1')).logs;
      assert.deepEqual(
        started.map(({ fields }) => fields.cmd),
        ['/bin/bash -l -c echo hello'],
      );
      assert.deepEqual((await v2('?cursor=1')).logs, []);
      assert.equal((await v2('?level=loud')).status, 400);
      assert.equal((await v2('?limit=1001')).status, 400);
      assert.equal((await v1('?start=soon')).status, 400);
    });

    test('our client reads them, the oldest first', async () => {
      const own = await OwnSandbox.connect(sandbox.sandboxId, server.options);
      const all = await own.getLogs();
      assert.deepEqual(
        all.map(({ timestamp, ...entry }) => ({ timestamp: timestamp.toISOString(), ...entry })),
        (await v1()).logEntries,
      );
      assert.deepEqual(await own.getLogs({ limit: 1 }), all.slice(-1));
      assert.deepEqual(await own.getLogs({ start: new Date(0), limit: 2 }), all.slice(0, 2));
      const started = await OwnSandbox.getLogs(sandbox.sandboxId, { ...server.options, search: 'command started' });
      assert.deepEqual(
        started,
        all.filter(({ message }) => message === 'command started'),
      );
      assert.deepEqual(
        (await own.getLogs({ level: 'warn' })).map(({ fields }) => fields.exitCode),
        ['3'],
      );
      await assert.rejects(OwnSandbox.getLogs('inowhere', server.options), SandboxNotFoundError);
    });

    test('nobody but the host gets them of the agent, and nobody of what is not there', async () => {
      const response = await fetch(`https://${sandbox.getHost(49983)}/logs`);
      assert.equal(response.status, 401);
      await response.body?.cancel();
      assert.equal((await ask('/sandboxes/i0123456789abcdefghij/logs')).status, 404);
    });

    test('a fork has a past of its own', { skip: runtime !== 'runsc' }, async () => {
      const [fork] = await sandbox.fork();
      assert(fork instanceof Sandbox);
      const { logEntries } = await ask(`/sandboxes/${fork.sandboxId}/logs`);
      assert.deepEqual(
        logEntries.map(({ message }) => message),
        ['sandbox started'],
      );
      await fork.kill();
    });
  });
}
