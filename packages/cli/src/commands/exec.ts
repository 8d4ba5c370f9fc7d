// sandport exec: one command in a sandbox, with this terminal's streams and the command's exit code.
import type { Command } from 'commander';
import { CommandExitError, type CommandHandle, Sandbox } from 'sandport';
import { clientCommand, type DataFlag, sdkOptions } from '../connection.ts';

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
      const sandbox = await Sandbox.connect(id, { ...(await sdkOptions(flags)), timeoutMs: 0 });
      const piped = !process.stdin.isTTY;
      const handle = await sandbox.commands.run(command.length === 1 ? command[0]! : command.map(quote).join(' '), {
        background: true,
        stdin: piped,
        timeoutMs: 0,
        ...(flags.user !== undefined && { user: flags.user }),
        ...(flags.cwd !== undefined && { cwd: flags.cwd }),
        onStdout: (text) => write(process.stdout, text),
        onStderr: (text) => write(process.stderr, text),
      });
      process.once('SIGINT', () => void handle.kill());
      if (piped) forwardStdin(handle).catch(() => {});
      try {
        await handle.wait();
      } catch (error) {
        if (!(error instanceof CommandExitError)) throw error;
        process.exitCode = error.exitCode < 0 ? 137 : error.exitCode;
      } finally {
        // Otherwise a pipe that stays open would keep this process waiting.
        process.stdin.destroy();
      }
    });
}

async function forwardStdin(handle: CommandHandle): Promise<void> {
  for await (const chunk of process.stdin) await handle.sendStdin(chunk as Buffer);
  await handle.closeStdin();
}

/** Several words are one command line for the shell inside, each word as it was given here. */
function quote(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}

/** A reader that is slow holds back the command. */
function write(stream: NodeJS.WriteStream, text: string): Promise<void> {
  return new Promise((resolve) => stream.write(text, () => resolve()));
}
