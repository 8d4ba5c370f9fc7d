// What runs in a sandbox ends without being asked: its agent alone, or gVisor's kernel under it, at every stage of its life;
// and everything that can be asked of one sandbox is asked at once.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { promisify } from 'node:util';
import { Sandbox as E2bSandbox } from 'e2b';
import { Sandbox, SandboxNotFoundError, SandportError } from 'sandport';
import { runtimes } from '../support/machine.ts';
import { SandportServer } from '../support/sandport-server.ts';
import { waitFor } from '../support/wait-for.ts';

const run = promisify(execFile);
const ROUNDS = 8;

type Victim = 'agent' | 'container';

for (const runtime of runtimes) {
  describe(`sudden ends under ${runtime}`, () => {
    let server: SandportServer;

    before(async () => {
      server = await SandportServer.start(runtime, ['--warm', '0']);
    });
    after(async () => {
      assert.deepEqual(await server.stop(), []);
    });

    const entries = (name: string): string[] => {
      const directory = join(server.data, name);
      return existsSync(directory) ? readdirSync(directory) : [];
    };
    const containers = (): string[] =>
      entries('bundles').filter((name) => existsSync(join(server.data, 'bundles', name, 'pid')));

    /** The agent by the runtime, from outside; the container by its own process: under runsc that is gVisor's kernel. */
    async function end(victim: Victim, container: string): Promise<void> {
      const state = `/run/sandport/${server.instance}/${runtime}`;
      if (victim === 'agent') await run(runtime, ['--root', state, 'kill', container, 'KILL']);
      else process.kill(Number(readFileSync(join(server.data, 'bundles', container, 'pid'), 'utf8')), 'SIGKILL');
    }

    /** A sandbox that is the only one, also on the disk. */
    async function createAlone(): Promise<{ sandbox: Sandbox; container: string }> {
      await waitFor('no other is left', () => containers().length === 0);
      const sandbox = await Sandbox.create(server.options);
      return { sandbox, container: containers()[0]! };
    }

    async function assertLost(sandbox: Sandbox): Promise<void> {
      const { sandboxId } = sandbox;
      await waitFor(
        'it is taken off the list',
        async () => (await Sandbox.list(server.options).nextItems()).length === 0,
      );
      await assert.rejects(sandbox.getInfo(), SandboxNotFoundError);
      assert.equal((await fetch(sandbox.getUrl(3000))).status, 502);
      const [last] = await Sandbox.listEvents({ ...server.options, sandboxId, limit: 1 });
      assert.deepEqual([last?.type, last?.data.kill_reason], ['killed', 'exited']);
      await waitFor('nothing of it is left', () => entries('bundles').length === 0);
    }

    for (const victim of ['agent', 'container'] as const) {
      test(`the end of the ${victim} ends the sandbox, which is told, and others can be created`, async () => {
        const { sandbox, container } = await createAlone();
        await end(victim, container);
        await assertLost(sandbox);
        await using next = await Sandbox.create(server.options);
        assert.equal((await next.commands.run('echo well')).stdout, 'well\n');
      });

      test(`the end of the ${victim} while a pause is written loses the sandbox or nothing`, {
        skip: runtime !== 'runsc' && 'needs a runtime that keeps memory',
      }, async () => {
        const { sandbox, container } = await createAlone();
        await sandbox.commands.run('head -c 100000000 /dev/urandom > /dev/shm/large && echo kept > kept');
        const pausing = sandbox.pause().then(
          () => 'paused',
          (error: unknown) => error,
        );
        await waitFor('it is being written', () => entries('snapshots').length > 0);
        // It may be over by now.
        await end(victim, container).catch(() => {});
        const outcome = await pausing;
        if (outcome === 'paused') {
          await sandbox.connect();
          assert.equal((await sandbox.commands.run('cat kept')).stdout, 'kept\n');
          await sandbox.kill();
        } else {
          assert(outcome instanceof SandportError, String(outcome));
          await assertLost(sandbox);
        }
        await waitFor('no snapshot is left', () => entries('snapshots').length === 0);
      });
    }

    test('whatever is asked of one sandbox at once is answered, and it is in one state afterwards', async () => {
      for (let round = 0; round < ROUNDS; round++) {
        const sandbox = await E2bSandbox.create({ ...server.options, timeoutMs: 600_000 });
        const { sandboxId } = sandbox;
        await sandbox.files.write('kept', `round ${round}`);
        const keepMemory = runtime === 'runsc';
        const kills = round % 2 === 1;
        const asked: Record<string, () => Promise<unknown>> = {
          pause: () => sandbox.pause({ keepMemory }),
          connect: () => E2bSandbox.connect(sandboxId, { ...server.options, timeoutMs: 900_000 }),
          fork: () => sandbox.fork(),
          setTimeout: () => sandbox.setTimeout(1_200_000),
          snapshot: () => sandbox.createSnapshot(),
          info: () => sandbox.getInfo(),
          'pause again': () => sandbox.pause({ keepMemory }),
          'connect again': () => sandbox.connect(),
          ...(kills && { kill: () => sandbox.kill() }),
        };
        const names = Object.keys(asked).sort(() => Math.random() - 0.5);
        const outcomes = await Promise.allSettled(names.map((name) => asked[name]!()));
        const told = names.map((name, index) => {
          const outcome = outcomes[index]!;
          return `${name}: ${outcome.status === 'fulfilled' ? 'done' : outcome.reason}`;
        });
        // Refused because it is paused, gone, or not to be had under this runtime; never by an error of the server's own.
        for (const line of told) assert.doesNotMatch(line, /: .*(\b50[0-9]\b|internal|timed out)/i, told.join('\n'));

        const others = (await Sandbox.list(server.options).nextItems()).filter((one) => one.sandboxId !== sandboxId);
        for (const other of others) await Sandbox.kill(other.sandboxId, server.options);
        if (kills) {
          await assert.rejects(sandbox.getInfo(), { name: 'SandboxNotFoundError' }, told.join('\n'));
        } else {
          await sandbox.connect();
          assert.equal(await sandbox.files.read('kept'), `round ${round}`, told.join('\n'));
          await sandbox.kill();
        }
        const events = (await Sandbox.listEvents({ ...server.options, sandboxId, limit: 100 })).reverse();
        const changes = events.map(({ type }) => type).filter((type) => /^(created|paused|resumed|killed)$/.test(type));
        assert.equal(changes[0], 'created');
        assert.equal(changes.at(-1), 'killed');
        const between = changes.slice(1, -1);
        for (const [index, type] of between.entries()) assert.equal(type, index % 2 === 0 ? 'paused' : 'resumed');
        for (const { snapshotId } of await Sandbox.listSnapshots(server.options).nextItems()) {
          await Sandbox.deleteSnapshot(snapshotId, server.options);
        }
      }
      await waitFor('nothing of them is left', () => [...entries('bundles'), ...entries('snapshots')].length === 0);
    });
  });

  test(`one started ahead of time whose agent has ended is not handed over under ${runtime}`, async () => {
    const server = await SandportServer.start(runtime, ['--warm', '2']);
    try {
      const directory = join(server.data, 'bundles');
      const ready = (): string[] => readdirSync(directory).filter((name) => existsSync(join(directory, name, 'pid')));
      await waitFor('two are started', () => ready().length >= 2);
      const state = `/run/sandport/${server.instance}/${runtime}`;
      for (const container of ready()) await run(runtime, ['--root', state, 'kill', container, 'KILL']).catch(() => {});
      const sandbox = await Sandbox.create(server.options);
      assert.equal((await sandbox.commands.run('echo well')).stdout, 'well\n');
      await sandbox.kill();
    } finally {
      assert.deepEqual(await server.stop(), []);
    }
  });
}
