// Starts one program of the sandbox.
import { type ChildProcess, spawn } from 'node:child_process';
import { accessSync, constants, writeFileSync } from 'node:fs';
import type { User } from '../access/users.ts';
import { invalid } from '../connect/message-fields.ts';
import type { Libc } from '../native/libc.ts';
import { libc, reaper } from '../native/system.ts';
import { launchError } from './launch-error.ts';
import { type Stdio, StdioPipes } from './stdio.ts';

export interface LaunchOptions {
  readonly cmd: string;
  readonly args: readonly string[];
  /** An existing directory. */
  readonly cwd: string;
  readonly environment: NodeJS.ProcessEnv;
  readonly user: User;
  /** Whether stdin stays open; otherwise the program reads end-of-file at once. */
  readonly stdin: boolean;
}

export interface LaunchedProcess extends Stdio {
  readonly pid: number;
  /** False when the process has ended. */
  kill(signal: NodeJS.Signals): boolean;
  onExit(callback: (code: number | null, signal: NodeJS.Signals | null) => void): void;
}

/**
 * @throws CannotExecute when there is no such program
 * @throws ConnectError when the user may not enter the directory or the sandbox has no room for another process
 */
export async function launch(options: LaunchOptions): Promise<LaunchedProcess> {
  const calls = libc();
  try {
    const { child, stdio } = calls === undefined ? spawnByNode(options) : spawnAsUser(calls, options);
    if (child.pid === undefined) {
      const { promise, reject } = Promise.withResolvers<never>();
      child.once('error', reject);
      await promise;
    }
    return manage(child, child.pid!, stdio());
  } catch (error) {
    throw launchError(options.cmd, error);
  }
}

interface Spawned {
  readonly child: ChildProcess;
  /** The agent's ends; to be taken only when the child runs. */
  stdio(): Stdio;
}

function spawnAsUser(calls: Libc, { cmd, args, cwd, environment, user, stdin }: LaunchOptions): Spawned {
  return calls.actAs(user, () => {
    // Otherwise spawn's EACCES could mean the directory as well as the program.
    try {
      accessSync(cwd, constants.X_OK);
    } catch {
      throw invalid(`cwd '${cwd}' is not accessible to user '${user.name}'`);
    }
    const pipes = new StdioPipes(calls, stdin);
    try {
      const child = spawn(cmd, args, { cwd, env: environment, stdio: [...pipes.child] });
      if (child.pid === undefined) pipes.close();
      return { child, stdio: () => pipes.connect() };
    } catch (error) {
      pipes.close();
      throw error;
    }
  });
}

function spawnByNode({ cmd, args, cwd, environment, user, stdin }: LaunchOptions): Spawned {
  const child = spawn(cmd, args, {
    cwd,
    env: environment,
    uid: user.uid,
    gid: user.gid,
    stdio: [stdin ? 'pipe' : 'ignore', 'pipe', 'pipe'],
  });
  return { child, stdio: () => ({ stdin: child.stdin, stdout: child.stdout!, stderr: child.stderr! }) };
}

function manage(child: ChildProcess, pid: number, stdio: Stdio): LaunchedProcess {
  reaper.add(pid);
  child.once('exit', () => reaper.delete(pid));
  // A failing kill reports here too; without a listener it would end the agent.
  child.on('error', () => {});
  preferForOomKill(pid);
  return {
    ...stdio,
    pid,
    kill: (signal) => child.kill(signal),
    onExit: (callback) => child.once('exit', callback),
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
