// What the official client's `commands` does inside a real sandbox, under each runtime.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { CommandExitError, Sandbox, TimeoutError } from 'e2b';
import { runtimes } from '../support/machine.ts';
import { SandportServer } from '../support/sandport-server.ts';
import { repeat } from '../support/shell.ts';
import { waitFor } from '../support/wait-for.ts';

for (const runtime of runtimes) {
  describe(`commands under ${runtime}`, () => {
    let server: SandportServer;
    let sandbox: Sandbox;

    before(async () => {
      server = await SandportServer.start(runtime);
      sandbox = await Sandbox.create(server.options);
    });
    after(async () => {
      const left = await server.stop();
      assert.deepEqual(left, []);
    });

    test('run returns output, errors and the exit code', async () => {
      const result = await sandbox.commands.run('echo out; echo err >&2');
      assert.deepEqual([result.stdout, result.stderr, result.exitCode], ['out\n', 'err\n', 0]);
    });

    test('a command that fails throws with its exit code and output', async () => {
      await assert.rejects(sandbox.commands.run('echo half; exit 7'), (error) => {
        assert(error instanceof CommandExitError);
        assert.deepEqual([error.exitCode, error.stdout], [7, 'half\n']);
        return true;
      });
    });

    test('the default user is "user" in its home, and sudo makes it root', async () => {
      const result = await sandbox.commands.run('whoami; pwd; sudo whoami; sudo -u user whoami');
      assert.equal(result.stdout, 'user\n/home/user\nroot\nuser\n');
    });

    test('sudo hands on stdin, output, environment, directory, exit code and signals', async () => {
      const through = await sandbox.commands.run(
        'cd /tmp && echo in | sudo sh -c "cat; pwd; echo err >&2; exit 3" || echo code $?',
      );
      assert.deepEqual([through.stdout, through.stderr], ['in\n/tmp\ncode 3\n', 'err\n']);
      const kept = await sandbox.commands.run('A=1 sudo -E sh -c \'echo "$A"\'; sudo B=2 sh -c \'echo "$B"\'');
      assert.equal(kept.stdout, '1\n2\n');
      const signalled = await sandbox.commands.run('sudo sleep 60 & sleep 1; kill -TERM $!; wait $!; echo $?');
      assert.equal(signalled.stdout, '143\n');
    });

    test('a program may run as root or in another directory with its own environment', async () => {
      const result = await sandbox.commands.run('whoami; pwd; echo $COLOUR', {
        user: 'root',
        cwd: '/usr',
        envs: { COLOUR: 'green' },
      });
      assert.equal(result.stdout, 'root\n/usr\ngreen\n');
    });

    test('an unknown user and a missing directory are named', async () => {
      await assert.rejects(
        sandbox.commands.run('true', { user: 'nobody-here' as 'user' }),
        /invalid username: 'nobody-here'/,
      );
      await assert.rejects(sandbox.commands.run('true', { cwd: '/no/such' }), /cwd '\/no\/such' does not exist/);
    });

    test('output arrives while the command runs', async () => {
      const seen: string[] = [];
      const handle = await sandbox.commands.run('echo first; read line; echo "then $line"', {
        background: true,
        stdin: true,
        onStdout: (text) => void seen.push(text),
      });
      await waitFor('the first line', () => seen.join('') === 'first\n');
      await sandbox.commands.sendStdin(handle.pid, 'second\n');
      const result = await handle.wait();
      assert.equal(result.stdout, 'first\nthen second\n');
    });

    test('a background command is listed, reached by another client, and killed', async () => {
      const handle = await sandbox.commands.run(repeat(0.1, 'echo tick'), { background: true });
      const listed = await sandbox.commands.list();
      assert(listed.some(({ pid }) => pid === handle.pid));
      await handle.disconnect();
      const other = await Sandbox.connect(sandbox.sandboxId, server.options);
      const seen: string[] = [];
      const again = await other.commands.connect(handle.pid, { onStdout: (text) => void seen.push(text) });
      await waitFor('output after the reconnect', () => seen.join('').includes('tick'));
      assert.equal(await other.commands.kill(handle.pid), true);
      await assert.rejects(again.wait(), CommandExitError);
      assert.equal(await other.commands.kill(handle.pid), false);
      assert.deepEqual(await sandbox.commands.list(), []);
    });

    test('a command ends at its time limit', async () => {
      await assert.rejects(sandbox.commands.run('sleep 60', { timeoutMs: 700 }), TimeoutError);
      await waitFor('the command is gone', async () => (await sandbox.commands.list()).length === 0);
    });

    test('stdin is closed unless it is asked for', async () => {
      assert.equal((await sandbox.commands.run('cat; echo end')).stdout, 'end\n');
    });

    test('20 commands at once have each their own output', async () => {
      const results = await Promise.all(
        Array.from({ length: 20 }, (_, index) =>
          sandbox.commands.run(`echo ${index}; head -c 100000 /dev/zero | tr '\\0' x`),
        ),
      );
      results.forEach(({ stdout }, index) => {
        assert(stdout.startsWith(`${index}\n`));
        assert.equal(stdout.length, `${index}\n`.length + 100_000);
      });
    });

    test('no zombie is left of a process whose parent has ended', async () => {
      await sandbox.commands.run('for i in 1 2 3; do (sleep 0.2 &) ; done');
      await waitFor('all are gone', async () => {
        const { stdout } = await sandbox.commands.run(
          'grep -l "^State:.Z" /proc/[0-9]*/status 2>/dev/null; pgrep -x sleep; true',
        );
        return stdout === '';
      });
    });

    test('the sandbox has what the base image promises', async () => {
      const tools = ['python', 'python3', 'pip', 'node', 'npm', 'git', 'curl', 'gcc', 'make', 'sudo', 'ps'];
      const { stdout } = await sandbox.commands.run(
        `for tool in ${tools.join(' ')}; do command -v $tool >/dev/null || echo missing $tool; done; node --version`,
      );
      assert.match(stdout, /^v24\.\d+\.\d+\n$/);
    });

    test('memory, cpu and disk are as the clients are told, and the disk has an end', async () => {
      const info = await sandbox.getInfo();
      assert.deepEqual([info.cpuCount, info.memoryMB], [2, 1024]);
      assert.equal((await sandbox.commands.run('nproc')).stdout, '2\n');
      const full = await sandbox.commands.run(
        'fallocate -l 11G ~/big 2>&1 || dd if=/dev/zero of=~/big bs=1M count=1 seek=11000 2>&1; rm -f ~/big; echo alive',
      );
      assert.match(full.stdout, /alive\n$/);
    });
  });
}
