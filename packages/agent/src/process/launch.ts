// Starts one program of the sandbox, with pipes or in a terminal.
import { accessSync, constants, writeFileSync } from 'node:fs';
import type { Readable, Writable } from 'node:stream';
import type { PipedStdio, TerminalStdio } from '@sandport/native/posix-spawn';
import { type ExitStatus, readStatus } from '@sandport/native/process-calls';
import { findProgram } from '@sandport/native/program-path';
import { StdioPipes } from '@sandport/native/stdio-pipes';
import type { User } from '../access/users.ts';
import { ConnectError } from '../connect/connect-error.ts';
import { invalid } from '../connect/message-fields.ts';
import type { Libc } from '../native/libc.ts';
import { libc, reaper } from '../native/system.ts';
import { launchError } from './launch-error.ts';
import type { InputKind, OutputKind, TerminalSize } from './messages.ts';

export interface LaunchOptions {
  readonly cmd: string;
  readonly args: readonly string[];
  /** An existing directory. */
  readonly cwd: string;
  readonly environment: NodeJS.ProcessEnv;
  readonly user: User;
  /** Whether stdin stays open; otherwise the program reads end-of-file at once. */
  readonly stdin: boolean;
  /** Present when the program is to run in a terminal, which is its stdin, stdout and stderr. */
  readonly terminal: TerminalSize | undefined;
}

export interface LaunchedProcess {
  readonly pid: number;
  readonly input: { readonly kind: InputKind; readonly stream: Writable } | undefined;
  readonly outputs: readonly { readonly kind: OutputKind; readonly stream: Readable }[];
  /** Absent without a terminal. */
  readonly resize?: ((size: TerminalSize) => void) | undefined;
  /** False when the process has ended. */
  kill(signal: NodeJS.Signals): boolean;
  onExit(listener: (status: ExitStatus) => void): void;
}

/**
 * @throws CannotExecute when there is no such program
 * @throws ConnectError when the user may not enter the directory or the sandbox has no room for another process
 */
export async function launch(options: LaunchOptions): Promise<LaunchedProcess> {
  const calls = libc();
  try {
    if (calls !== undefined) return await launchBySystem(calls, options);
    if (options.terminal === undefined) return await (await import('./launch-by-node.ts')).launchByNode(options);
  } catch (error) {
    throw launchError(options.cmd, error);
  }
  throw new ConnectError('unimplemented', `the agent has no terminals on ${process.arch}`);
}

async function launchBySystem(calls: Libc, options: LaunchOptions): Promise<LaunchedProcess> {
  reaper.start(libc);
  const size = options.terminal;
  if (size === undefined) return launchWithPipes(calls, options);
  const { Terminal } = await import('./terminal.ts');
  const terminal = openTerminal(() => new Terminal(calls, options.user, size));
  try {
    const child = childOf(calls.actAs(options.user, () => spawn(calls, options, { terminal: terminal.device })));
    const { input, output } = terminal.connect();
    child.onExit((status) => terminal.leaderEnded(child.pid, 'signal' in status));
    return {
      ...child,
      input: { kind: 'pty', stream: input },
      outputs: [{ kind: 'pty', stream: output }],
      resize: (size) => terminal.resize(size, child.pid),
    };
  } catch (error) {
    terminal.close();
    throw error;
  }
}

/** What fails here is the sandbox's terminals, not the program. */
function openTerminal<Opened>(open: () => Opened): Opened {
  try {
    return open();
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const exhausted = ['EMFILE', 'ENFILE', 'ENOSPC', 'EAGAIN', 'ENOMEM'].includes(code ?? '');
    throw new ConnectError(
      exhausted ? 'resource_exhausted' : 'internal',
      `the sandbox has no terminal for it (${code ?? String(error)})`,
      { cause: error },
    );
  }
}

function launchWithPipes(calls: Libc, options: LaunchOptions): LaunchedProcess {
  const { pid, pipes } = calls.actAs(options.user, () => {
    const pipes = new StdioPipes(calls, options.stdin);
    try {
      return { pid: spawn(calls, options, pipes.child), pipes };
    } catch (error) {
      pipes.close();
      throw error;
    }
  });
  const child = childOf(pid);
  const { stdin, stdout, stderr } = pipes.connect();
  return {
    ...child,
    input: stdin && { kind: 'stdin', stream: stdin },
    outputs: [
      { kind: 'stdout', stream: stdout },
      { kind: 'stderr', stream: stderr },
    ],
  };
}

/** The pid. To be called as the user that the program runs as. */
function spawn(
  calls: Libc,
  { cmd, args, cwd, environment, user }: LaunchOptions,
  stdio: PipedStdio | TerminalStdio,
): number {
  // Otherwise an EACCES could mean the directory as well as the program.
  try {
    accessSync(cwd, constants.X_OK);
  } catch {
    throw invalid(`cwd '${cwd}' is not accessible to user '${user.name}'`);
  }
  const path = findProgram(cmd, environment.PATH, cwd);
  const variables = Object.entries(environment).map(([name, value]) => `${name}=${value}`);
  const program = { cwd, stdio, environment: variables };
  try {
    return calls.spawn({ ...program, path, args: [cmd, ...args] });
  } catch (error) {
    // A text without a first line that names its interpreter is a shell's (execvp(3)).
    if ((error as NodeJS.ErrnoException).code !== 'ENOEXEC') throw error;
    return calls.spawn({ ...program, path: '/bin/sh', args: ['/bin/sh', path, ...args] });
  }
}

function childOf(pid: number): Pick<LaunchedProcess, 'pid' | 'kill' | 'onExit'> {
  const { promise: exit, resolve } = Promise.withResolvers<ExitStatus>();
  let running = true;
  reaper.expect(pid, (status) => {
    running = false;
    resolve(readStatus(status));
  });
  preferForOomKill(pid);
  return {
    pid,
    // Until it is waited for, its pid is given to nobody else.
    kill: (signal) => running && process.kill(pid, signal),
    onExit: (listener) => void exit.then(listener),
  };
}
/** When memory runs out, a command goes before the agent, whose end would be that of the sandbox. */
function preferForOomKill(pid: number): void {
  try {
    writeFileSync(`/proc/${pid}/oom_score_adj`, '100');
  } catch {
    // It has ended already, or the kernel has no such file.
  }
}
