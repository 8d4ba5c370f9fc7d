// Starts one program of the sandbox.
import { type ChildProcess, spawn } from 'node:child_process';
import type { Readable, Writable } from 'node:stream';
import type { User } from '../access/users.ts';
import { ConnectError } from '../connect/connect-error.ts';

export interface LaunchOptions {
  readonly cmd: string;
  readonly args: readonly string[];
  readonly cwd: string;
  readonly environment: NodeJS.ProcessEnv;
  readonly user: User;
  /** Whether stdin stays open; otherwise the program reads end-of-file at once. */
  readonly stdin: boolean;
}

export interface LaunchedProcess {
  readonly pid: number;
  readonly stdin: Writable | null;
  readonly stdout: Readable;
  readonly stderr: Readable;
  /** False when the process has ended. */
  kill(signal: NodeJS.Signals): boolean;
  onExit(callback: (code: number | null, signal: NodeJS.Signals | null) => void): void;
}

/** Why a program could not be started, in the form in which a shell would report it. */
export class CannotExecute extends Error {
  override name = 'CannotExecute';
  /** 127: not found; 126: found, not executable. */
  readonly exitCode: number;

  constructor(message: string, exitCode: number) {
    super(message);
    this.exitCode = exitCode;
  }
}

/**
 * @throws CannotExecute when there is no such program
 * @throws ConnectError when the sandbox has no room for another process
 */
export async function launch(options: LaunchOptions): Promise<LaunchedProcess> {
  const child = startChild(options);
  if (child.pid === undefined) {
    const { promise, resolve } = Promise.withResolvers<Error>();
    child.once('error', resolve);
    throw launchError(options.cmd, await promise);
  }
  // A failing kill reports here too; it has no listener otherwise and would end the agent.
  child.on('error', () => {});
  return {
    pid: child.pid,
    stdin: child.stdin,
    stdout: child.stdout!,
    stderr: child.stderr!,
    kill: (signal) => child.kill(signal),
    onExit: (callback) => child.once('exit', callback),
  };
}

function startChild({ cmd, args, cwd, environment, user, stdin }: LaunchOptions): ChildProcess {
  try {
    return spawn(cmd, args, {
      cwd,
      env: environment,
      uid: user.uid,
      gid: user.gid,
      stdio: [stdin ? 'pipe' : 'ignore', 'pipe', 'pipe'],
    });
  } catch (error) {
    throw launchError(cmd, error);
  }
}

function launchError(cmd: string, error: unknown): Error {
  const code = (error as NodeJS.ErrnoException).code;
  switch (code) {
    case 'ENOENT':
    case 'ENOTDIR':
      return new CannotExecute(`${cmd}: not found`, 127);
    case 'EACCES':
    case 'ENOEXEC':
    case 'ELOOP':
    case 'EISDIR':
    case 'EPERM':
    case 'ETXTBSY':
      return new CannotExecute(`${cmd}: cannot execute (${code})`, 126);
    case 'E2BIG':
    case 'ENAMETOOLONG':
      return new ConnectError('invalid_argument', 'the arguments and environment are longer than the kernel takes');
    case 'EAGAIN':
    case 'ENOMEM':
    case 'EMFILE':
    case 'ENFILE':
      return new ConnectError('resource_exhausted', `the sandbox has no room for another process (${code})`);
    default:
      return new ConnectError('internal', `cannot start ${cmd} (${code ?? String(error)})`);
  }
}
