// The runtime's program fails, hangs, is killed, or does its work and fails then: at every step of a sandbox's life. A program in
// front of the real one does it. Afterwards each sandbox is as it was before, or as it was to be, and nothing is left.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmodSync, globSync, writeFileSync } from 'node:fs';
import { mkdtempDisposable, readdir, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { Sandbox } from 'e2b';
import { Sandbox as OwnSandbox } from 'sandport';
import { runtimes } from '../support/machine.ts';
import { SandportServer } from '../support/sandport-server.ts';
import { repeat } from '../support/shell.ts';
import { waitFor } from '../support/wait-for.ts';

const MODES = ['fail', 'hang', 'killed', 'late'] as const;
/** Far more than what the steps take on a busy machine, far less than what the test has. */
const TIMEOUT_MS = 8000;

for (const runtime of runtimes) {
  describe(`faults of ${runtime}`, () => {
    let stack: AsyncDisposableStack;
    let faultFile: string;
    let server: SandportServer;

    before(async () => {
      stack = new AsyncDisposableStack();
      const directory = stack.use(await mkdtempDisposable(join(tmpdir(), 'sandport-wrapper-'))).path;
      faultFile = join(directory, 'fault');
      set('none');
      const real = execFileSync('sh', ['-c', `command -v ${runtime}`], { encoding: 'utf8' }).trim();
      const wrapper = join(directory, runtime);
      writeFileSync(
        wrapper,
        `#!/bin/sh
read wanted mode < ${faultFile}
for argument; do
  case "$argument" in run|restore|checkpoint|delete|list|pause|resume) verb=$argument; break;; esac
done
if [ "$verb" = "$wanted" ]; then
  case $mode in
    fail) echo "it does not want to" >&2; exit 1;;
    hang) exec sleep 1000;;
    killed) kill -9 $$;;
    late) ${real} "$@"; echo "too late" >&2; exit 1;;
    stuck) ${real} "$@"; exec sleep 1000;;
  esac
fi
exec ${real} "$@"
`,
      );
      chmodSync(wrapper, 0o755);
      server = await SandportServer.start(runtime, ['--warm', '0'], {
        env: { PATH: `${directory}:${process.env.PATH}`, SANDPORT_RUNTIME_TIMEOUT_MS: String(TIMEOUT_MS) },
      });
    });
    after(async () => {
      set('none');
      assert.deepEqual(await server?.stop(), []);
      await stack.disposeAsync();
    });

    function set(fault: string): void {
      writeFileSync(faultFile, `${fault}\n`);
    }

    // Each hanging takes its time: those that the runtimes have in common are tried with one of them.
    const common = MODES.filter((mode) => mode !== 'hang' || runtime === runtimes.at(-1));

    async function during<T>(fault: string, task: () => Promise<T>): Promise<T> {
      set(fault);
      try {
        return await task();
      } finally {
        set('none');
      }
    }

    const bundles = async () => (await readdir(join(server.data, 'bundles'))).length;
    const snapshots = async () => (await readdir(join(server.data, 'snapshots')).catch(() => [])).length;

    test('a creation fails with an error, and nothing of it is left', async () => {
      for (const mode of common) {
        const creating = during(`run ${mode}`, () => OwnSandbox.create(server.options));
        await assert.rejects(creating, { code: 'sandbox_create_failed' }, mode);
        await waitFor(`nothing is left after "${mode}"`, async () => (await bundles()) === 0);
        assert.deepEqual(await Sandbox.list(server.options).nextItems(), []);
      }
      const sandbox = await Sandbox.create(server.options);
      assert.equal((await sandbox.commands.run('echo well')).stdout, 'well\n');
      await sandbox.kill();
    });

    test('a kill is answered at once, and what is left goes when the runtime works again', async () => {
      for (const mode of common) {
        const sandbox = await Sandbox.create(server.options);
        await during(`delete ${mode}`, async () => {
          assert.equal(await sandbox.kill(), true);
          assert.equal(await sandbox.isRunning(), false);
        });
        await waitFor(`nothing is left after "${mode}"`, async () => (await bundles()) === 0, 60_000);
      }
    });

    test('a server whose runtime does not tell what runs does not start, and finds it all when it does', async () => {
      const sandbox = await Sandbox.create(server.options);
      await sandbox.files.write('kept', 'of before');
      await server.crash();
      for (const mode of common.filter((each) => each !== 'late')) {
        await assert.rejects(
          during(`list ${mode}`, () => server.launch()),
          /the server ended with code 1/,
          mode,
        );
      }
      await server.launch();
      assert.equal(await sandbox.files.read('kept'), 'of before');
      await sandbox.kill();
    });

    test('what the runtime cannot remove keeps no server from starting, and goes at a later start', async () => {
      await waitFor('nothing is left of before', async () => (await bundles()) === 0);
      const sandbox = await Sandbox.create(server.options);
      // Nobody's after a crash: it was started, and its creation was not answered.
      server.crashAt('create:started');
      await assert.rejects(Sandbox.create({ ...server.options, requestTimeoutMs: 20_000 }));
      await server.ended();
      await during('delete fail', async () => {
        await server.launch();
        assert.match(server.log(), /leftover not removed/);
        assert.equal((await sandbox.commands.run('echo well')).stdout, 'well\n');
        assert.equal(await bundles(), 2);
        await server.crash();
      });
      await server.launch();
      assert.equal((await sandbox.commands.run('echo well')).stdout, 'well\n');
      assert.equal(await bundles(), 1);
      await sandbox.kill();
      await waitFor('nothing is left', async () => (await bundles()) === 0);
    });

    if (runtime === 'runc') {
      const ticksOf = async () => {
        const [path, ...more] = globSync(join(server.data, 'disks/*/mount/upper/home/user/ticks'));
        assert(path !== undefined && more.length === 0);
        return (await stat(path)).size;
      };

      test('a pause that fails leaves the sandbox running; in one that is paused nothing happens any more', async () => {
        const sandbox = await Sandbox.create(server.options);
        const { sandboxId } = sandbox;
        const ticking = repeat(0.01, 'echo tick >> ticks');
        await sandbox.commands.run(ticking, { background: true, timeoutMs: 0 });
        const goesOn = async () => {
          const before = await ticksOf().catch(() => 0);
          await waitFor('it goes on', async () => (await ticksOf().catch(() => 0)) > before);
        };
        await goesOn();
        for (const mode of common) {
          const pausing = during(`pause ${mode}`, () =>
            OwnSandbox.pause(sandboxId, { ...server.options, keepMemory: false }),
          );
          await assert.rejects(pausing, { code: 'sandbox_pause_failed' }, mode);
          assert.equal((await sandbox.getInfo()).state, 'running');
          await goesOn();
          assert.equal((await sandbox.commands.run('echo well')).stdout, 'well\n');
        }
        // A crash in the midst of it leaves it stopped, until the next start.
        set('pause stuck');
        const pausing = OwnSandbox.pause(sandboxId, { ...server.options, keepMemory: false }).catch(() => {});
        await waitFor('it stands still', async () => {
          const before = await ticksOf();
          await delay(200);
          return (await ticksOf()) === before;
        });
        await server.crash();
        await pausing;
        set('none');
        await server.launch();
        assert.equal((await sandbox.getInfo()).state, 'running');
        await goesOn();
        // Its processes are there for as long as the runtime does not remove them.
        await during('delete fail', async () => {
          assert.equal(await sandbox.pause({ keepMemory: false }), true);
          const written = await ticksOf();
          await delay(200);
          assert.equal(await ticksOf(), written);
          // What the disk of the machine has, past the cache.
          const [disk] = globSync(join(server.data, 'snapshots/*/content/disk'));
          const copy = join(server.data, 'copy');
          execFileSync('dd', [`if=${disk}`, `of=${copy}`, 'iflag=direct', 'bs=1M', 'conv=sparse'], { stdio: 'ignore' });
          execFileSync('e2fsck', ['-fn', copy], { stdio: 'ignore' });
          const kept = execFileSync('debugfs', ['-R', 'cat /upper/home/user/ticks', copy], {
            stdio: ['ignore', 'pipe', 'ignore'],
          });
          assert.equal(kept.length, written);
        });
        await sandbox.connect();
        assert.equal(await sandbox.files.read('ticks').then((text) => text.length), await ticksOf());
        await sandbox.kill();
      });
    }

    if (runtime === 'runsc') {
      test('a pause, a snapshot and a fork that cannot be written leave the sandbox running, as it was', async () => {
        const sandbox = await Sandbox.create(server.options);
        const { sandboxId } = sandbox;
        await sandbox.commands.run('sleep 1000', { background: true });
        await waitFor('it sleeps', async () => (await sandbox.commands.run('pgrep -x sleep')).exitCode === 0);
        for (const mode of MODES) {
          const wrong: [string, () => Promise<unknown>][] = [
            ['sandbox_pause_failed', () => OwnSandbox.pause(sandboxId, server.options)],
            ['snapshot_failed', () => OwnSandbox.createSnapshot(sandboxId, server.options)],
            ['snapshot_failed', () => OwnSandbox.fork(sandboxId, { ...server.options })],
          ];
          // One that hangs is the same to all of them, and takes its time.
          for (const [code, call] of mode === 'hang' ? wrong.slice(0, 1) : wrong) {
            await assert.rejects(during(`checkpoint ${mode}`, call), { code }, mode);
            assert.equal((await sandbox.getInfo()).state, 'running');
            assert.equal((await sandbox.commands.run('pgrep -c sleep')).stdout, '1\n', mode);
            assert.equal(await snapshots(), 0, mode);
          }
        }
        await sandbox.kill();
      });

      test('a resumption that fails leaves the sandbox paused, with its memory', async () => {
        const sandbox = await Sandbox.create(server.options);
        await sandbox.commands.run('sleep 1000', { background: true });
        await waitFor('it sleeps', async () => (await sandbox.commands.run('pgrep -x sleep')).exitCode === 0);
        await sandbox.pause();
        for (const mode of MODES) {
          const resuming = during(`restore ${mode}`, () => OwnSandbox.connect(sandbox.sandboxId, server.options));
          await assert.rejects(resuming, { code: 'sandbox_resume_failed' }, mode);
          assert.equal((await sandbox.getInfo()).state, 'paused');
          await waitFor(`nothing runs after "${mode}"`, async () => (await bundles()) === 0);
        }
        await sandbox.connect();
        assert.equal((await sandbox.commands.run('pgrep -c sleep')).stdout, '1\n');
        const forks = await during('restore fail', () => OwnSandbox.fork(sandbox.sandboxId, server.options));
        assert(
          forks.every((fork) => fork instanceof Error || 'error' in fork),
          JSON.stringify(forks),
        );
        assert.equal((await sandbox.commands.run('pgrep -c sleep')).stdout, '1\n');
        await waitFor('no fork is left', async () => (await snapshots()) === 0);
        await sandbox.kill();
      });
    }
  });
}
