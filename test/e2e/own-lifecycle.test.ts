// Our own client and command: pause, resume, snapshots, forks, and what happens at the end time.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { InvalidArgumentError, Sandbox, SandboxNotFoundError, TemplateError } from 'sandport';
import { runtimes } from '../support/machine.ts';
import { SandportServer } from '../support/sandport-server.ts';
import { waitFor } from '../support/wait-for.ts';

const CLI = fileURLToPath(new URL('../../packages/cli/src/main.js', import.meta.url));
const run = promisify(execFile);

for (const runtime of runtimes) {
  describe(`the life of a sandbox with the client "sandport" under ${runtime}`, () => {
    const keepMemory = runtime === 'runsc';
    let server: SandportServer;

    before(async () => {
      server = await SandportServer.start(runtime);
    });
    after(async () => {
      assert.deepEqual(await server.stop(), []);
    });

    test('pause, the end time and the command "sandport" leave a sandbox that goes on', async () => {
      const lifecycle = { onTimeout: { action: 'pause', ...(!keepMemory && { keepMemory }) } } as const;
      const sandbox = await Sandbox.create({ ...server.options, lifecycle });
      await sandbox.files.write('kept', 'yes');
      assert.equal(await sandbox.pause({ keepMemory }), true);
      assert.equal(await sandbox.betaPause({ keepMemory }), false);
      assert.equal(await Sandbox.betaPause(sandbox.sandboxId, { ...server.options, keepMemory }), false);
      assert.equal((await sandbox.getInfo()).state, 'paused');
      assert.equal(await sandbox.isRunning(), false);
      await sandbox.connect();
      await sandbox.setTimeout(0);
      await waitFor('it is paused', async () => (await sandbox.getInfo()).state === 'paused');

      const sandport = async (...args: string[]) =>
        (await run(process.execPath, [CLI, ...args, '--data', server.data])).stdout;
      const { sandboxId } = sandbox;
      assert.match(await sandport('list'), new RegExp(`${sandboxId}  base  paused  has no end`));
      assert.equal(await sandport('resume', sandboxId), `${sandboxId} running\n`);
      const pause = ['pause', sandboxId, ...(keepMemory ? [] : ['--no-memory'])];
      assert.equal(await sandport(...pause), `${sandboxId} paused\n`);
      assert.equal(await sandport(...pause), `${sandboxId} was paused already\n`);
      assert.equal(await (await Sandbox.connect(sandboxId, server.options)).files.read('kept'), 'yes');
      assert.equal(await sandbox.kill(), true);
      await assert.rejects(sandbox.pause(), SandboxNotFoundError);
    });

    test('snapshots and forks, where the runtime keeps memory, and else an error that says so', async () => {
      const { options } = server;
      const parent = await Sandbox.create(options);
      if (!keepMemory) {
        const refused = [() => parent.pause(), () => parent.fork(), () => parent.createSnapshot()];
        for (const call of refused) await assert.rejects(call(), { code: 'not_supported' }, String(call));
        await assert.rejects(parent.pause(), InvalidArgumentError);
      } else {
        await parent.files.write('past', 'one');
        const { snapshotId, names } = await parent.createSnapshot({ name: 'own:v2' });
        assert.deepEqual([snapshotId, names], ['own:v2', ['own:v2']]);
        assert.deepEqual(await parent.listSnapshots().nextItems(), [{ snapshotId, names }]);
        assert.deepEqual(await Sandbox.listSnapshots({ ...options, name: 'other' }).nextItems(), []);
        const [child, ...rest] = await parent.fork({ count: 1 });
        assert(child instanceof Sandbox);
        assert.deepEqual(rest, []);
        const fromSnapshot = await Sandbox.create(snapshotId, options);
        for (const sandbox of [child, fromSnapshot]) {
          assert.equal(await sandbox.files.read('past'), 'one');
          await sandbox.kill();
        }
        assert.equal(await Sandbox.deleteSnapshot(snapshotId, options), true);
        assert.equal(await Sandbox.deleteSnapshot(snapshotId, options), false);
        await assert.rejects(Sandbox.create(snapshotId, options), TemplateError);
      }
      await parent.kill();
    });

    test('what has ended can be neither paused nor forked', async () => {
      const none = 'i0123456789abcdefghij';
      const calls = [
        () => Sandbox.pause(none, server.options),
        () => Sandbox.fork(none, server.options),
        () => Sandbox.createSnapshot(none, server.options),
      ];
      for (const call of calls) await assert.rejects(call(), SandboxNotFoundError, String(call));
    });
  });
}
