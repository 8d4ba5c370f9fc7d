// One sandbox at its limits leaves the others and the machine well.
import assert from 'node:assert/strict';
import { globSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { encodeFrame } from '@sandport/protocol/connect';
import { RateLimitError, Sandbox } from 'e2b';
import { agentAccess } from '../support/agent-access.ts';
import { processesOfSandboxes, runtimes } from '../support/machine.ts';
import { SandportServer } from '../support/sandport-server.ts';
import { waitFor } from '../support/wait-for.ts';

const MEMORY_MB = 512;
const DISK_MB = 64;

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
      const least = Number(readFileSync('/proc/self/oom_score_adj', 'utf8')) + 500;
      const wrong = (): string[] => {
        const pids = processesOfSandboxes(server.instance);
        // Of gVisor the kernel is what counts: with it go the processes that it has run programs in, which have no name.
        const named = pids.filter((pid) => readFileSync(`/proc/${pid}/cmdline`, 'utf8') !== '');
        assert(named.length > 0);
        return named
          .filter((pid) => Number(readFileSync(`/proc/${pid}/oom_score_adj`, 'utf8')) < least)
          .map((pid) => `${pid}: ${readFileSync(`/proc/${pid}/cmdline`, 'utf8')}`);
      };
      // One that is just being started has its own a moment later.
      await waitFor('every sandbox has it', () => wrong().length === 0);
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
      // What the kernel counts are threads, which need less memory than processes: that is not what ends them. Under runsc
      // it is the sandbox's own kernel that has them, and the sandbox's memory that bounds it.
      const grow = {
        runc: 'threading.Thread(target=time.sleep, args=(60,), daemon=True).start()',
        runsc: 'os.fork() or (time.sleep(60), os._exit(0))',
      };
      const bomb = `python3 -c '
import os, threading, time
threading.stack_size(65536)
made = 0
try:
    while made < 6000:
        ${grow[runtime]}
        made += 1
except (OSError, RuntimeError) as error:
    print("stopped by", type(error).__name__)
print("made", made < 6000)
'`;
      const outcome = await sandbox.commands
        .run(`timeout -s KILL 40 ${bomb}; pkill -9 python3; true`, { timeoutMs: 90_000 })
        .then(
          ({ stdout }) => stdout,
          (error: Error) => error.message,
        );
      if (runtime === 'runc') {
        assert.equal(outcome, 'stopped by RuntimeError\nmade True\n');
        assert.equal((await sandbox.commands.run('echo well')).stdout, 'well\n', 'it goes on');
      }
      assert.doesNotMatch(outcome, /made False/);
      await sandbox.kill();
      await neighbourIsWell();
    });

    test('a sandbox that takes all the processor time that it gets leaves the others answering', async () => {
      const hog = await Sandbox.create(server.options);
      await neighbour.files.write('page/index.html', 'well');
      await neighbour.commands.run('cd page && python3 -m http.server 3000', { background: true, timeoutMs: 0 });
      const page = async () => (await fetch(`https://${neighbour.getHost(3000)}/`)).text();
      await waitFor('the page is served', async () => (await page()) === 'well');
      const busy = 'for n in $(seq 16); do (while :; do :; done) & done; wait';
      await hog.commands.run(busy, { background: true, timeoutMs: 0 });
      await waitFor('it takes all of its processor', async () =>
        (await hog.getMetrics()).some(({ cpuUsedPct }) => cpuUsedPct > 50),
      );
      for (let round = 0; round < 5; round++) {
        await neighbourIsWell();
        assert.equal(await page(), 'well');
      }
      assert.equal((await hog.commands.run('echo well')).stdout, 'well\n', 'it answers itself');
      const other = await Sandbox.create(server.options);
      assert.equal((await other.commands.run('echo well')).stdout, 'well\n');
      await Promise.all([hog.kill(), other.kill()]);
      await neighbour.commands.run('pkill -f http.server');
    });

    test('output without an end, read by nobody, takes no disk', async () => {
      const sandbox = await Sandbox.create(server.options);
      const disk = async (): Promise<number> => {
        const files = globSync(['bundles/*/*', 'logs/*'], { cwd: server.data }).map((name) => join(server.data, name));
        const sizes = files.map((file) => statSync(file, { throwIfNoEntry: false })).filter((entry) => entry?.isFile());
        return sizes.reduce((sum, entry) => sum + entry!.size, 0);
      };
      const before = await disk();
      // As much as its disk holds: were either output kept, it would have no room. And more commands than are kept of.
      const endless = await sandbox.commands.run(
        `for fd in 1 2; do head -c ${DISK_MB / 2}M /dev/zero >&$fd; done; touch done; sleep 1000`,
        { background: true, timeoutMs: 0 },
      );
      await endless.disconnect();
      // Without the shell in front that the clients put there, which takes most of what a short command does.
      const agent = await agentAccess(server, sandbox.sandboxId);
      const headers = { 'content-type': 'application/connect+json', 'x-access-token': agent.token };
      const start = async (cmd: string, ...args: string[]): Promise<void> => {
        const body = Buffer.from(encodeFrame(0, { process: { cmd, args } }));
        const answer = await fetch(`${agent.url}/process.Process/Start`, { method: 'POST', headers, body });
        assert.match(await answer.text(), /"status":"exit status 0"/);
      };
      // What the agent keeps of them is the same under each runtime; under runsc a start takes three times as long.
      const [rounds, length] = runtime === 'runc' ? [13, 10_000] : [3, 50_000];
      for (let round = 0; round < rounds; round++) {
        await Promise.all(Array.from({ length: 20 }, () => start('/bin/true', 'x'.repeat(length))));
      }
      await waitFor('all is written', async () => await sandbox.files.exists('done'), 120_000);
      const room = `head -c ${DISK_MB / 2}M /dev/zero > room && stat -c %s room && rm room`;
      const { stdout } = await sandbox.commands.run(room);
      assert.equal(stdout, `${(DISK_MB / 2) * 1024 * 1024}\n`, 'the disk of the sandbox has room');
      const more = (await disk()) - before;
      assert(more < 4 * 1024 * 1024, `${more} bytes more are on the disk of the machine`);
      await sandbox.kill();
      await neighbourIsWell();
    });

    test('a fork for which there is no room leaves the sandbox alone', {
      skip: runtime !== 'runsc' && 'it cannot fork',
    }, async () => {
      const parent = await Sandbox.create(server.options);
      const other = await Sandbox.create(server.options);
      const connection = await parent.commands.run('cat', { background: true, stdin: true });
      await assert.rejects(parent.fork(), RateLimitError);
      await assert.rejects(parent.fork({ count: 3 }), /at most 2 forks can run at once/);
      await parent.commands.sendStdin(connection.pid, 'still here');
      await parent.commands.closeStdin(connection.pid);
      assert.equal((await connection.wait()).stdout, 'still here', 'its connections are not cut');
      await other.kill();
      const [fork, none] = await parent.fork({ count: 2 });
      assert(fork instanceof Sandbox, String(fork));
      assert(none instanceof RateLimitError, String(none));
      await Promise.all([parent.kill(), fork.kill()]);
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
