// Runs one program of the machine, without a shell, bounded in time and output.
import { spawn } from 'node:child_process';

const MAX_OUTPUT = 1024 * 1024;

export interface CommandOptions {
  /** Written to the program's stdin, which is then closed. */
  readonly input?: string;
  /** Milliseconds until it is killed. Default 30 000. */
  readonly timeoutMs?: number;
  readonly env?: NodeJS.ProcessEnv;
  readonly cwd?: string;
  /** Bytes kept of each output, default 1 MiB; the rest is read and dropped, so that the program never blocks on a full pipe. */
  readonly maxOutput?: number;
  /** Where stdout and stderr go instead of being returned: for programs whose children outlive them and hold them open. */
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

/** Runs `file` with `args` and returns its stdout. Throws a CommandError that carries the end of its stderr. */
export function runCommand(file: string, args: readonly string[], options: CommandOptions = {}): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const output = options.outputFd ?? 'pipe';
  const child = spawn(file, args, {
    stdio: [options.input === undefined ? 'ignore' : 'pipe', output, output],
    ...(options.env && { env: options.env }),
    ...(options.cwd && { cwd: options.cwd }),
  });
  const stdout = collect(child.stdout, options.maxOutput);
  const stderr = collect(child.stderr);
  let timedOut = false;
  const timer = setTimeout(() => {
    timedOut = true;
    child.kill('SIGKILL');
    // Children of the program may hold its outputs open for as long as they like.
    child.stdout?.destroy();
    child.stderr?.destroy();
  }, options.timeoutMs ?? 30_000);
  child.on('error', (error) => {
    clearTimeout(timer);
    reject(new CommandError(`${file} could not be run: ${error.message}`, null, { cause: error }));
  });
  // With inherited outputs 'close' comes with 'exit'; with pipes it waits for all that was written.
  child.on('close', (code, signal) => {
    clearTimeout(timer);
    if (code === 0) return resolve(stdout());
    const what = timedOut ? 'took too long' : signal ? `was ended by ${signal}` : `ended with code ${code}`;
    const tail = stderr().trim().slice(-2000);
    reject(new CommandError(`${file} ${args[0] ?? ''} ${what}${tail && `: ${tail}`}`, code));
  });
  // A program may end without reading its input; its exit code tells the story.
  child.stdin?.on('error', () => {});
  child.stdin?.end(options.input);
  return promise;
}

function collect(stream: NodeJS.ReadableStream | null, most = MAX_OUTPUT): () => string {
  const chunks: Buffer[] = [];
  let length = 0;
  stream?.on('data', (chunk: Buffer) => {
    if (length >= most) return;
    chunks.push(chunk);
    length += chunk.length;
  });
  return () => Buffer.concat(chunks).toString('utf8');
}
