// Many commands, much output and several clients in a real sandbox, under each runtime, with the official client.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { CommandExitError, Sandbox } from 'e2b';
import { runtimes } from '../support/machine.ts';
import { SandportServer } from '../support/sandport-server.ts';
import { waitFor } from '../support/wait-for.ts';

const MIB = 1024 * 1024;
/**
 * What runs in the sandbox, counted by the shell itself, as a program that counts is there now and then; and how many
 * ends of pipes the agent has open: by name, or by being open one way only.
 */
const WHAT_IS_THERE = 'set -- /proc/[0-9]*; echo $#; ls -l /proc/1/fd 2> /dev/null | grep -c -e pipe: -e ^lr- -e ^l-w';

for (const runtime of runtimes) {
  describe(`many commands under ${runtime}`, () => {
    let server: SandportServer;
    let sandbox: Sandbox;
    before(async () => {
      server = await SandportServer.start(runtime);
      sandbox = await Sandbox.create(server.options);
    });
    after(async () => {
      assert.deepEqual(await server.stop(), []);
    });

    test('30 in a row and 100 at once end each in its own way, and leave nothing', async () => {
      const look = async (): Promise<string> => (await sandbox.commands.run(WHAT_IS_THERE, { user: 'root' })).stdout;
      await sandbox.commands.run('true');
      const first = await look();
      assert.match(first, /^[1-9][0-9]*\n[1-9][0-9]*\n$/);
      for (let run = 0; run < 30; run++) await sandbox.commands.run('true');
      const ends = await Promise.allSettled(
        Array.from({ length: 100 }, (_, number) => sandbox.commands.run(`echo ${number}; exit ${number}`)),
      );
      ends.forEach((end, number) => {
        const result = end.status === 'fulfilled' ? end.value : (end.reason as CommandExitError);
        assert.deepEqual([result.exitCode, result.stdout], [number, `${number}\n`]);
      });
      assert.deepEqual(await sandbox.commands.list(), []);
      let last = '';
      const isAsBefore = async (): Promise<boolean> => {
        last = await look();
        return last === first;
      };
      await waitFor('all is as before', isAsBefore).catch(() => assert.equal(last, first));
    });

    test('an exit code and a signal are told apart, whatever sends the signal', async () => {
      const ended = async (command: string): Promise<[number, string | undefined]> => {
        const error: unknown = await sandbox.commands.run(command).then(undefined, (reason: unknown) => reason);
        assert(error instanceof CommandExitError);
        return [error.exitCode, error.error];
      };
      assert.deepEqual(await ended('exit 137'), [137, 'exit status 137']);
      assert.deepEqual(await ended('kill -KILL $$'), [-1, 'signal: killed']);
      assert.deepEqual(await ended('kill -SEGV $$'), [-1, 'signal: segmentation fault']);
      const handle = await sandbox.commands.run('exec sleep 1000', { background: true });
      assert.equal(await handle.kill(), true);
      await assert.rejects(handle.wait(), { exitCode: -1, error: 'signal: killed' });
    });

    test('several clients see the same command; one that leaves does not end it', async () => {
      const command = 'while read line; do echo "<$line>"; done; echo over';
      const first = await sandbox.commands.run(command, { background: true, stdin: true });
      const other = await Sandbox.connect(sandbox.sandboxId, server.options);
      const [second, third] = await Promise.all([other.commands.connect(first.pid), other.commands.connect(first.pid)]);
      await sandbox.commands.sendStdin(first.pid, 'one\n');
      await waitFor('all have it', () => [first, second, third].every(({ stdout }) => stdout === '<one>\n'));
      await first.disconnect();
      await other.commands.sendStdin(first.pid, 't');
      await other.commands.sendStdin(first.pid, 'wo\n');
      await other.commands.closeStdin(first.pid);
      for (const handle of [second, third]) assert.equal((await handle.wait()).stdout, '<one>\n<two>\nover\n');
    });

    test('all of a large output arrives, and the agent keeps none of it', async () => {
      const mebibytes = 32;
      const memory = async (): Promise<number> => {
        const { stdout } = await sandbox.commands.run('grep VmRSS: /proc/1/status', { user: 'root' });
        return Number(/([0-9]+) kB/.exec(stdout)![1]) / 1024;
      };
      const before = await memory();
      let received = 0;
      const command = `head -c ${mebibytes}M /dev/zero | tr '\\0' x`;
      await sandbox.commands.run(command, {
        timeoutMs: 0,
        onStdout: (text) => {
          received += text.length;
        },
      });
      assert.equal(received, mebibytes * MIB);
      await waitFor('it has given it all back', async () => (await memory()) - before < mebibytes / 2);
    });
  });
}
