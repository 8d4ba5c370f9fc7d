// What the official client's `pty` does inside a real sandbox, under each runtime.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { type CommandHandle, InvalidArgumentError, NotFoundError, Sandbox } from 'e2b';
import { runtimes } from '../support/machine.ts';
import { SandportServer } from '../support/sandport-server.ts';
import { waitFor } from '../support/wait-for.ts';

/** Collects what a terminal shows. */
class Screen {
  readonly #decoder = new TextDecoder();
  text = '';
  readonly onData = (bytes: Uint8Array): void => {
    this.text += this.#decoder.decode(bytes, { stream: true });
  };

  shows(part: string): Promise<unknown> {
    return waitFor(`the terminal shows ${JSON.stringify(part)}: ${JSON.stringify(this.text)}`, () =>
      this.text.includes(part),
    );
  }
}

for (const runtime of runtimes) {
  describe(`terminals under ${runtime}`, () => {
    let server: SandportServer;
    let sandbox: Sandbox;

    before(async () => {
      server = await SandportServer.start(runtime);
      sandbox = await Sandbox.create(server.options);
    });
    after(async () => {
      assert.deepEqual(await server.stop(), []);
    });

    const type = (terminal: CommandHandle, text: string): Promise<void> =>
      sandbox.pty.sendInput(terminal.pid, new TextEncoder().encode(text));

    test('a login shell runs in it, as the user, with the environment of a terminal', async () => {
      const screen = new Screen();
      const terminal = await sandbox.pty.create({
        cols: 100,
        rows: 30,
        onData: screen.onData,
        cwd: '/tmp',
        envs: { COLOUR: 'green' },
      });
      await screen.shows('$ ');
      await type(
        terminal,
        'stty size; tty; id -un; pwd; echo $TERM-$LANG-$COLOUR; shopt -q login_shell && echo lo""gin; exit 3\n',
      );
      await assert.rejects(terminal.wait(), { exitCode: 3 });
      for (const part of ['30 100', '/dev/pts/', 'user', '/tmp', 'xterm-256color-C.UTF-8-green', 'login']) {
        assert(new RegExp(`[\r\n]${part}`).test(screen.text), `${part} in ${screen.text}`);
      }
      assert(!screen.text.includes('job control'), screen.text);
    });

    test('a new size is seen by the programs in it', async () => {
      const screen = new Screen();
      const terminal = await sandbox.pty.create({ cols: 80, rows: 24, onData: screen.onData });
      await screen.shows('$ ');
      // In a shell of its own, as the size goes to the foreground job.
      const script = 'trap "echo changed to \\$(stty size)" WINCH; echo re""ady; while :; do sleep 0.1; done';
      await type(terminal, `sh -c '${script}'\n`);
      await screen.shows('ready');
      await sandbox.pty.resize(terminal.pid, { cols: 132, rows: 43 });
      await screen.shows('changed to 43 132');
      assert.equal(await terminal.kill(), true);
      await assert.rejects(terminal.wait(), { exitCode: -1 });
    });

    test('Ctrl-C ends the job and not the shell', async () => {
      const screen = new Screen();
      const terminal = await sandbox.pty.create({ cols: 80, rows: 24, onData: screen.onData });
      await screen.shows('$ ');
      await type(terminal, 'echo beg""in; sleep 100\n');
      await screen.shows('begin\r\n');
      await waitFor('sleep runs', async () => (await sandbox.commands.run('pgrep -x sleep || true')).stdout !== '');
      await type(terminal, '\u0003');
      await waitFor('sleep is gone', async () => (await sandbox.commands.run('pgrep -x sleep || true')).stdout === '');
      await type(terminal, 'echo state=$?\n');
      await screen.shows('state=130');
      await type(terminal, 'sleep 100\n');
      await waitFor('sleep runs', async () => (await sandbox.commands.run('pgrep -x sleep || true')).stdout !== '');
      await type(terminal, '\u001a');
      await screen.shows('Stopped');
      await type(terminal, 'fg\n');
      await waitFor('sleep is gone', async () => {
        // Typed before the job is in the foreground it would end nothing.
        await type(terminal, '\u0003');
        return (await sandbox.commands.run('pgrep -x sleep || true')).stdout === '';
      });
      await type(terminal, 'exit 5\n');
      await assert.rejects(terminal.wait(), { exitCode: 5 });
    });

    test('another client connects, types and sees; a third finds it when both have gone', async () => {
      const screens = [new Screen(), new Screen(), new Screen()] as const;
      const first = await sandbox.pty.create({ cols: 80, rows: 24, onData: screens[0].onData, timeoutMs: 0 });
      await screens[0].shows('$ ');
      const other = await Sandbox.connect(sandbox.sandboxId, server.options);
      const second = await other.pty.connect(first.pid, { onData: screens[1].onData });
      await other.pty.sendInput(first.pid, new TextEncoder().encode('echo sha""red ä\n'));
      await Promise.all([screens[0].shows('shared ä'), screens[1].shows('shared ä')]);
      await Promise.all([first.disconnect(), second.disconnect()]);
      const third = await sandbox.pty.connect(first.pid, { onData: screens[2].onData });
      await type(third, 'exit\n');
      assert.equal((await third.wait()).exitCode, 0);
      assert(!screens[2].text.includes('shared'), screens[2].text);
    });

    test('what runs in a terminal ends when its shell is killed, unless it ignores that', async () => {
      const screen = new Screen();
      const terminal = await sandbox.pty.create({ cols: 80, rows: 24, onData: screen.onData });
      await screen.shows('$ ');
      await type(terminal, '(nohup sleep 1234 &) 2> /dev/null; sleep 4321\n');
      const running = async (): Promise<string> =>
        (await sandbox.commands.run('pgrep -af "^sleep [14]" | cut -d " " -f 2- | sort')).stdout;
      await waitFor('both run', async () => (await running()) === 'sleep 1234\nsleep 4321\n');
      assert.equal(await sandbox.pty.kill(terminal.pid), true);
      await waitFor('one is left', async () => (await running()) === 'sleep 1234\n');
      await sandbox.commands.run('pkill -f "^sleep 1234"');
    });

    test('a program for a whole screen works in it', async () => {
      const screen = new Screen();
      const terminal = await sandbox.pty.create({ cols: 80, rows: 24, onData: screen.onData });
      await screen.shows('$ ');
      await type(
        terminal,
        'python3 -c "import curses; curses.wrapper(lambda s: (s.addstr(2, 2, str(s.getmaxyx())), s.refresh(), s.getch()))"; echo le""ft\n',
      );
      await screen.shows('(24, 80)');
      await type(terminal, 'q');
      await screen.shows('left');
      assert.equal(await terminal.kill(), true);
      await assert.rejects(terminal.wait(), { exitCode: -1 });
    });

    test('a terminal survives a pause with memory', {
      skip: runtime === 'runsc' ? false : 'only gVisor keeps memory through a pause',
    }, async () => {
      const screen = new Screen();
      const paused = await Sandbox.create(server.options);
      const terminal = await paused.pty.create({ cols: 80, rows: 24, onData: () => {}, timeoutMs: 0 });
      await paused.pty.sendInput(terminal.pid, new TextEncoder().encode('kept=here\n'));
      await terminal.disconnect();
      assert.equal(await paused.pause(), true);
      const resumed = await Sandbox.connect(paused.sandboxId, server.options);
      const again = await resumed.pty.connect(terminal.pid, { onData: screen.onData });
      await resumed.pty.resize(terminal.pid, { cols: 101, rows: 41 });
      await resumed.pty.sendInput(terminal.pid, new TextEncoder().encode('echo "<$kept $(stty size)>"; exit 6\n'));
      const ended = await again.wait().catch((error: { exitCode?: number }) => error);
      if (ended.exitCode !== 6) {
        // Whether shell, terminal or answer hangs is seen nowhere else.
        const { stdout } = await resumed.commands.run('ps -eo pid,ppid,stat,tty,args', { user: 'root' });
        assert.fail(`${String(ended)}: ${JSON.stringify(screen.text)}\n${stdout}`);
      }
      assert(screen.text.includes('<here 41 101>'), screen.text);
      await resumed.kill();
    });

    test('a terminal that is not there is told from one that is, and a missing directory is named', async () => {
      assert.equal(await sandbox.pty.kill(999_999), false);
      await assert.rejects(sandbox.pty.resize(999_999, { cols: 80, rows: 24 }), NotFoundError);
      await assert.rejects(sandbox.pty.sendInput(999_999, new Uint8Array([13])), NotFoundError);
      await assert.rejects(sandbox.pty.connect(999_999, { onData: () => {} }), NotFoundError);
      const options = { cols: 80, rows: 24, onData: () => {}, cwd: '/no/such' };
      await assert.rejects(sandbox.pty.create(options), InvalidArgumentError);
    });
  });
}
