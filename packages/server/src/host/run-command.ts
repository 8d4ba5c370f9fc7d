// Runs one program of the machine, without a shell, bounded in time and output.
import { constants, setPriority } from 'node:os';
import type { Readable } from 'node:stream';
import type { ExitStatus } from '@sandport/native/process-calls';
import { type Child, type ChildOptions, startChild } from './child-processes.ts';

const MAX_OUTPUT = 1024 * 1024;
/** Characters of either end of what a program says of its failure. */
const SHOWN = 1000;

export interface CommandOptions {
  /** Written to the program's stdin, which is then closed. */
  readonly input?: string;
  /** Milliseconds until it is killed. Default 30 000. */
  readonly timeoutMs?: number;
  readonly env?: NodeJS.ProcessEnv;
  readonly cwd?: string;
  /** Bytes kept of each output, default 1 MiB; the rest is read and dropped, so that the program never blocks on a full pipe. */
  readonly maxOutput?: number;
  /** Whether it gives way to everything else on the machine: for what nobody waits for. */
  readonly background?: boolean;
  /** Where stdout and stderr of a program without input go instead of being returned: for programs whose children outlive them and hold them open. */
  readonly outputFd?: number;
}

/** A program that could not be run, ended with another code than 0, or took too long. */
export class CommandError extends Error {
  override name = 'CommandError';
  readonly exitCode: number | null;

  constructor(message: string, exitCode: number | null, options?: ErrorOptions) {
    super(message, options);
    this.exitCode = exitCode;
  }
}

/** Runs `file` with `args` and returns its stdout. Throws a CommandError that carries beginning and end of its stderr. */
export async function runCommand(file: string, args: readonly string[], options: CommandOptions = {}): Promise<string> {
  const { input, outputFd, env, cwd } = options;
  const stdio = outputFd === undefined ? { input: input !== undefined } : { outputFd };
  const child = start(file, { args, stdio, env, cwd });
  if (options.background) giveWay(child.pid);
  const stdout = collect(child.stdout, options.maxOutput);
  const stderr = collect(child.stderr);
  let timedOut = false;
  const timer = setTimeout(() => {
    timedOut = true;
    child.kill();
    // Children of the program may hold its outputs open for as long as they like.
    child.stdout?.destroy();
    child.stderr?.destroy();
  }, options.timeoutMs ?? 30_000);
  // A program may end without reading its input; its exit code tells the story.
  child.stdin?.on('error', () => {});
  child.stdin?.end(input);
  const [status] = await Promise.all([child.exit, stdout.closed, stderr.closed]);
  clearTimeout(timer);
  child.stdin?.destroy();
  if ('code' in status && status.code === 0) return stdout.text();
  const what = timedOut ? 'took too long' : describe(status);
  const said = bothEnds(stderr.text().trim());
  const code = 'code' in status ? status.code : null;
  throw new CommandError(`${file} ${args[0] ?? ''} ${what}${said && `: ${said}`}`, code);
}

/** A trace of calls may be in between. */
function bothEnds(text: string): string {
  return text.length <= 2 * SHOWN ? text : `${text.slice(0, SHOWN)} […] ${text.slice(-SHOWN)}`;
}

function start(file: string, options: ChildOptions): Child {
  try {
    return startChild(file, options);
  } catch (error) {
    throw new CommandError(`${file} could not be run: ${(error as Error).message}`, null, { cause: error });
  }
}

function giveWay(pid: number): void {
  try {
    setPriority(pid, constants.priority.PRIORITY_BELOW_NORMAL);
  } catch {
    // It has ended already.
  }
}

function describe(status: ExitStatus): string {
  if ('code' in status) return `ended with code ${status.code}`;
  const [name = status.signal] = Object.entries(constants.signals).find(([, one]) => one === status.signal) ?? [];
  return `was ended by ${name}`;
}

interface Collected {
  /** When nothing more comes. */
  readonly closed: Promise<unknown>;
  text(): string;
}

function collect(stream: Readable | undefined, most = MAX_OUTPUT): Collected {
  const chunks: Buffer[] = [];
  let length = 0;
  stream?.on('data', (chunk: Buffer) => {
    if (length >= most) return;
    chunks.push(chunk);
    length += chunk.length;
  });
  stream?.on('error', () => {});
  return {
    closed: stream === undefined ? Promise.resolve() : new Promise((resolve) => stream.once('close', resolve)),
    text: () => Buffer.concat(chunks).toString('utf8'),
  };
}
