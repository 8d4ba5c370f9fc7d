// Watched directories inside a real sandbox, under each runtime, with the official client and with ours.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import * as e2b from 'e2b';
import * as sandport from 'sandport';
import { runtimes } from '../support/machine.ts';
import { SandportServer } from '../support/sandport-server.ts';
import { waitFor } from '../support/wait-for.ts';

interface Seen {
  readonly name: string;
  readonly type: string;
  readonly entry?: { readonly path: string; readonly size: number } | undefined;
}

for (const runtime of runtimes) {
  describe(`watches under ${runtime}`, () => {
    let server: SandportServer;
    let sandbox: e2b.Sandbox;

    before(async () => {
      server = await SandportServer.start(runtime);
      sandbox = await e2b.Sandbox.create(server.options);
    });
    after(async () => {
      assert.deepEqual(await server.stop(), []);
    });

    for (const [client, connect] of [
      ['e2b', () => e2b.Sandbox.connect(sandbox.sandboxId, server.options)],
      ['sandport', () => sandport.Sandbox.connect(sandbox.sandboxId, server.options)],
    ] as const) {
      test(`${client}: files.watchDir tells what programs and clients do, until it is stopped`, async () => {
        const { files, commands } = await connect();
        const directory = `watched-${client}`;
        await files.makeDir(`${directory}/sub`);
        const seen: Seen[] = [];
        const told = (): string[] => seen.map(({ type, name }) => `${type} ${name}`);
        const handle = await files.watchDir(directory, (event: Seen) => void seen.push(event));
        await commands.run(`echo x > ${directory}/a; chmod 600 ${directory}/a; mv ${directory}/a ${directory}/b`);
        await files.write(`${directory}/sub/unseen`, 'x');
        await files.remove(`${directory}/b`);
        await waitFor('the removal is told', () => told().includes('remove b'));
        assert.deepEqual([...new Set(told())], ['create a', 'write a', 'chmod a', 'rename a', 'create b', 'remove b']);
        await handle.stop();
        const before = seen.length;
        await commands.run(`touch ${directory}/later`);
        await files.list(directory);
        assert.equal(seen.length, before);
      });

      test(`${client}: files.watchDir sees whole trees, with entries`, async () => {
        const { files, commands } = await connect();
        const directory = `tree-${client}`;
        await files.makeDir(`${directory}/old`);
        const seen: Seen[] = [];
        const handle = await files.watchDir(directory, (event: Seen) => void seen.push(event), {
          recursive: true,
          includeEntry: true,
        });
        await commands.run(`cd ${directory}; echo four > old/a; mkdir -p new/deep; echo four > new/deep/b`);
        await waitFor('both are told', () =>
          ['old/a', 'new/deep/b'].every((name) => seen.some((event) => event.name === name && event.entry?.size === 5)),
        );
        assert.equal(seen.find(({ name }) => name === 'new/deep/b')?.entry?.path, `/home/user/${directory}/new/deep/b`);
        await handle.stop();
      });

      test(`${client}: files.watchDir refuses what it cannot watch, and ends with a reason`, async () => {
        const { files } = await connect();
        await files.write('plain-file', 'x');
        const own = client === 'e2b' ? e2b : sandport;
        const nothing = (): void => {};
        await assert.rejects(files.watchDir('no-such-directory', nothing), own.FileNotFoundError);
        await assert.rejects(files.watchDir('plain-file', nothing), own.InvalidArgumentError);
        await files.makeDir(`short-${client}`);
        const exit = Promise.withResolvers<Error | undefined>();
        await files.watchDir(`short-${client}`, nothing, { timeoutMs: 500, onExit: (error) => exit.resolve(error) });
        assert(((await exit.promise) as Error) instanceof own.TimeoutError);
      });
    }

    test('the polling form, as synchronous clients use it', async () => {
      const call = async (method: string, body: object) => {
        const response = await fetch(`https://${sandbox.getHost(49983)}/filesystem.Filesystem/${method}`, {
          method: 'POST',
          headers: {
            'content-type': 'application/json',
            // biome-ignore lint/complexity/useLiteralKeys: it is the client's own and not declared
            'x-access-token': (sandbox as unknown as Record<string, string>)['envdAccessToken'] ?? '',
            authorization: `Basic ${btoa('user:')}`,
          },
          body: JSON.stringify(body),
        });
        return (await response.json()) as { watcherId?: string; events?: Seen[]; code?: string };
      };
      await sandbox.files.makeDir('polled');
      const { watcherId } = await call('CreateWatcher', { path: 'polled', recursive: true });
      await sandbox.commands.run('mkdir polled/d; echo x > polled/d/f');
      const seen: string[] = [];
      await waitFor('the file is told', async () => {
        seen.push(...((await call('GetWatcherEvents', { watcherId })).events ?? []).map(({ name }) => name));
        return seen.includes('d/f');
      });
      assert.deepEqual([...new Set(seen)], ['d', 'd/f']);
      assert.deepEqual(await call('RemoveWatcher', { watcherId }), {});
      assert.equal((await call('GetWatcherEvents', { watcherId })).code, 'not_found');
    });
  });
}
