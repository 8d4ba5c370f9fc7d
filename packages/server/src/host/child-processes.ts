// Programs of the machine that are started without a fork. Node's own spawn makes one, which copies the page tables of a
// large process: it stands still for several milliseconds at every start, and everything in it.
import type { Readable, Writable } from 'node:stream';
import { type ExitStatus, ProcessCalls, readStatus } from '@sandport/native/process-calls';
import { StdioPipes } from '@sandport/native/stdio-pipes';

export interface ChildOptions {
  readonly args: readonly string[];
  /** Pipes, and whether it has an input; or where its outputs go in place of them. Without input it reads end-of-file. */
  readonly stdio: { readonly input: boolean } | { readonly outputFd: number };
  readonly env?: NodeJS.ProcessEnv | undefined;
  readonly cwd?: string | undefined;
}

export interface Child {
  readonly pid: number;
  readonly stdin?: Writable | undefined;
  readonly stdout?: Readable;
  readonly stderr?: Readable;
  /** When it has ended; its outputs may still have something to be read. */
  readonly exit: Promise<ExitStatus>;
  kill(): void;
}

let calls: ProcessCalls | undefined;
/** Those that have not ended yet. */
const running = new Map<number, (status: ExitStatus) => void>();

function start(): ProcessCalls {
  // Node waits for its own children only.
  process.on('SIGCHLD', reap);
  return new ProcessCalls();
}

function reap(): void {
  for (const [pid, ended] of running) {
    const child = calls!.ended(pid);
    if (child === undefined) continue;
    running.delete(pid);
    ended(readStatus(child.status));
  }
}

/** @throws Error with the system's code when it cannot be started */
export function startChild(file: string, { args, stdio, env = process.env, cwd }: ChildOptions): Child {
  calls ??= start();
  const pipes = 'input' in stdio ? new StdioPipes(calls, stdio.input) : undefined;
  const ends = 'input' in stdio ? pipes!.child : { stdin: undefined, stdout: stdio.outputFd, stderr: stdio.outputFd };
  try {
    const pid = calls.spawn({
      path: file,
      args: [file, ...args],
      environment: Object.entries(env).flatMap(([name, value]) => (value === undefined ? [] : [`${name}=${value}`])),
      ...(cwd !== undefined && { cwd }),
      stdio: { ...ends, sameGroup: true },
    });
    const { promise: exit, resolve } = Promise.withResolvers<ExitStatus>();
    running.set(pid, resolve);
    return {
      pid,
      ...pipes?.connect(),
      exit,
      // Until it is waited for, its pid is given to nobody else.
      kill: () => running.has(pid) && process.kill(pid, 'SIGKILL'),
    };
  } catch (error) {
    pipes?.close();
    throw error;
  }
}
