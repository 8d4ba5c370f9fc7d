// One sandbox at its limits leaves the others and the machine well.
import assert from 'node:assert/strict';
import { globSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { Sandbox } from 'e2b';
import { runtimes } from '../support/machine.ts';
import { SandportServer } from '../support/sandport-server.ts';

const MEMORY_MB = 512;
const DISK_MB = 256;

for (const runtime of runtimes) {
  describe(`limits under ${runtime}`, () => {
    let server: SandportServer;
    let neighbour: Sandbox;

    before(async () => {
      server = await SandportServer.start(runtime, [
        '--memory',
        String(MEMORY_MB),
        '--disk',
        String(DISK_MB),
        '--cpus',
        '1',
        '--max-sandboxes',
        '3',
      ]);
      neighbour = await Sandbox.create(server.options);
    });
    after(async () => {
      assert.deepEqual(await server.stop(), []);
    });

    async function neighbourIsWell(): Promise<void> {
      assert.equal((await neighbour.commands.run('echo well')).stdout, 'well\n');
    }

    test('the clients read the limits back', async () => {
      const info = await neighbour.getInfo();
      assert.deepEqual([info.memoryMB, info.cpuCount], [MEMORY_MB, 1]);
      const response = await fetch(`${server.connection.apiUrl}/sandboxes/${neighbour.sandboxId}`, {
        headers: { 'x-api-key': server.connection.apiKey },
      });
      assert.equal(((await response.json()) as { diskSizeMB: number }).diskSizeMB, DISK_MB);
    });

    for (const directory of ['/home/user', '/tmp']) {
      test(`a full disk is an error of the program that writes to ${directory}, and the sandbox goes on`, async () => {
        const sandbox = await Sandbox.create(server.options);
        const { stdout, stderr } = await sandbox.commands.run(
          `head -c ${2 * DISK_MB}M /dev/zero > big; echo "code $?"; stat -c %s big; rm big; echo again > small && cat small`,
          { cwd: directory },
        );
        assert.match(stdout, /^code 1\n/);
        assert.match(stderr, /No space left on device/);
        assert.match(stdout, /again\n$/);
        const written = Number(stdout.split('\n')[1]);
        assert(written > 0 && written <= DISK_MB * 1024 * 1024, `${written} bytes were written`);
        await sandbox.kill();
        await neighbourIsWell();
      });
    }

    test('what the agent was started with is no way to write outside', async () => {
      const sandbox = await Sandbox.create(server.options);
      const writing = 'for fd in 0 1 2; do head -c 1M /dev/zero >> /proc/1/fd/$fd; done; echo $?';
      assert.match((await sandbox.commands.run(writing, { user: 'root' })).stdout, /^\d+\n$/);
      const logs = globSync(join(server.data, 'bundles/*/*.log'));
      assert(logs.length > 0);
      for (const log of logs) assert(statSync(log).size < 4096, log);
      await sandbox.kill();
    });

    test('a program that takes more memory than there is ends, and nobody else does', async () => {
      const sandbox = await Sandbox.create(server.options);
      const hog = `python3 -c 'b = bytearray(${2 * MEMORY_MB} * 1024 * 1024); b[::4096] = b"x" * len(b[::4096]); print("took it all")'`;
      // Under runsc the limit is the whole sandbox's, and its end is the program's.
      const outcome = await sandbox.commands.run(`${hog} || true`).then(
        ({ stdout }) => stdout,
        (error: Error) => error.message,
      );
      assert.doesNotMatch(outcome, /took it all/);
      await sandbox.kill();
      await neighbourIsWell();
    });

    test('when the machine has no memory left, the kernel ends sandboxes first', async () => {
      const scoreOf = (pid: number | string): number => Number(readFileSync(`/proc/${pid}/oom_score_adj`, 'utf8'));
      const groups = globSync(`/sys/fs/cgroup/{,memory/}sandport/${server.instance}/*/cgroup.procs`);
      const pids = groups.flatMap((path) => readFileSync(path, 'utf8').split('\n').filter(Boolean));
      // Of gVisor the kernel is what counts: with it go the processes that it has run programs in, which have no name.
      const named = pids.filter((pid) => readFileSync(`/proc/${pid}/cmdline`, 'utf8') !== '');
      assert(named.length > 0);
      for (const pid of named) assert(scoreOf(pid) >= scoreOf('self') + 500, `process ${pid}`);
    });

    test('no key of the machine is reached', {
      skip: runtime !== 'runc' && 'its kernel has keys of its own',
    }, async () => {
      const sandbox = await Sandbox.create(server.options);
      // keyctl(KEYCTL_GET_KEYRING_ID, KEY_SPEC_SESSION_KEYRING): each machine has its own number for the call.
      const ask = `python3 -c '
import ctypes, os, platform
libc = ctypes.CDLL(None, use_errno=True)
call = 219 if platform.machine() == "aarch64" else 250
print(libc.syscall(call, 0, -3, 0), os.strerror(ctypes.get_errno()))'; cat /proc/keys`;
      assert.equal((await sandbox.commands.run(ask, { user: 'root' })).stdout, '-1 Operation not permitted\n');
      await sandbox.kill();
    });

    test('processes are bounded', async () => {
      const sandbox = await Sandbox.create(server.options);
      const bomb = `python3 -c '
import os, time
made = 0
try:
    while made < 6000:
        if os.fork() == 0:
            time.sleep(60)
            os._exit(0)
        made += 1
except OSError as error:
    print("stopped by", type(error).__name__)
print("made", made < 6000)
'`;
      const outcome = await sandbox.commands
        .run(`timeout -s KILL 40 ${bomb}; pkill -9 python3; true`, { timeoutMs: 90_000 })
        .then(
          ({ stdout }) => stdout,
          (error: Error) => error.message,
        );
      assert.doesNotMatch(outcome, /made False/);
      await sandbox.kill();
      await neighbourIsWell();
    });

    test('one sandbox more than allowed is refused as the clients expect', async () => {
      const more = await Promise.all([Sandbox.create(server.options), Sandbox.create(server.options)]);
      await assert.rejects(
        Sandbox.create({ ...server.options, retries: 0 } as object),
        /maximum number of concurrent sandboxes \(3\)/,
      );
      await Promise.all(more.map((sandbox) => sandbox.kill()));
    });
  });
}
