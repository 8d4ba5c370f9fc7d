// sandport exec: one command in a sandbox, with this terminal's streams and the command's exit code.
import type { Command } from 'commander';
import { CommandExitError, type CommandHandle } from 'sandport';
import { clientCommand, type DataFlag } from '../connection.ts';
import { shellExitCode, signalExitCode } from '../exit-code.ts';
import { runningSandbox } from '../running-sandbox.ts';
import { quoteForShell } from '../shell-quote.ts';

interface ExecFlags extends DataFlag {
  readonly user?: string;
  readonly cwd?: string;
}

export function addExecCommand(program: Command): void {
  clientCommand(program, 'exec <id> <command...>')
    .description('run a command in a sandbox; put "--" before it when it has options of its own')
    .option('--user <name>', "default: the template's user")
    .option('--cwd <dir>', "default: the user's home")
    .action(async (id: string, command: string[], flags: ExecFlags) => {
      const sandbox = await runningSandbox(id, flags);
      const piped = !process.stdin.isTTY;
      const handle = await sandbox.commands.run(commandLine(command), {
        background: true,
        stdin: piped,
        timeoutMs: 0,
        user: flags.user,
        cwd: flags.cwd,
        onStdout: (text) => write(process.stdout, text),
        onStderr: (text) => write(process.stderr, text),
      });
      const stopped = killWithThisProcess(handle);
      if (piped) forwardStdin(handle).catch(() => {});
      try {
        await handle.wait();
      } catch (error) {
        if (stopped() !== undefined) process.exitCode = stopped();
        else if (error instanceof CommandExitError) process.exitCode = shellExitCode(error);
        else throw error;
      } finally {
        // Otherwise a pipe that stays open would keep this process waiting.
        process.stdin.destroy();
      }
    });
}

/** One word is a command line; several are one too, each word as it was given here. */
function commandLine(words: readonly string[]): string {
  return words.length === 1 ? words[0]! : words.map(quoteForShell).join(' ');
}

/** The command ends with what waits for it. Returns what tells the exit code, once that has happened. */
function killWithThisProcess(handle: CommandHandle): () => number | undefined {
  let code: number | undefined;
  const stop = (signal: NodeJS.Signals): void => {
    code ??= signalExitCode(signal);
    handle.kill().catch(() => process.exit(code));
  };
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, stop);
  // A reader that has gone is for the command what SIGPIPE would be, instead of the quiet end of other commands.
  for (const stream of [process.stdout, process.stderr]) {
    stream.removeAllListeners('error').on('error', () => stop('SIGPIPE'));
  }
  return () => code;
}

async function forwardStdin(handle: CommandHandle): Promise<void> {
  for await (const chunk of process.stdin) await handle.sendStdin(chunk as Buffer);
  await handle.closeStdin();
}

/** A reader that is slow holds back the command. */
function write(stream: NodeJS.WriteStream, text: string): Promise<void> {
  return new Promise((resolve) => stream.write(text, () => resolve()));
}
