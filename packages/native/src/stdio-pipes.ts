// The pipes between this process and one program.
import { closeSync } from 'node:fs';
import { Socket } from 'node:net';
import type { Readable, Writable } from 'node:stream';
import type { PipedStdio } from './posix-spawn.ts';
import type { ProcessCalls } from './process-calls.ts';

export interface Stdio {
  readonly stdin: Writable | undefined;
  readonly stdout: Readable;
  readonly stderr: Readable;
}

/** Both ends of a program's pipes, as descriptors. */
export class StdioPipes {
  readonly #open = new Set<number>();
  /** The program's ends. */
  readonly child: PipedStdio;
  readonly #own: readonly [number | undefined, number, number];

  /** Called as the user that the program runs as: only the owner of a pipe may open it again through /dev/stdout. */
  constructor(calls: ProcessCalls, stdin: boolean) {
    try {
      const [input, output, error] = [stdin ? this.#pipe(calls) : undefined, this.#pipe(calls), this.#pipe(calls)];
      this.child = { stdin: input?.read, stdout: output.write, stderr: error.write };
      this.#own = [input?.write, output.read, error.read];
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /** This process's ends as streams; the program's are closed, as it has its own copies. */
  connect(): Stdio {
    const [stdin, stdout, stderr] = this.#own;
    for (const end of this.#own) if (end !== undefined) this.#open.delete(end);
    this.close();
    return {
      stdin: stdin === undefined ? undefined : new Socket({ fd: stdin, readable: false, writable: true }),
      stdout: new Socket({ fd: stdout, readable: true, writable: false }),
      stderr: new Socket({ fd: stderr, readable: true, writable: false }),
    };
  }

  /** Gives back what `connect` has not taken over. */
  close(): void {
    for (const descriptor of this.#open) closeSync(descriptor);
    this.#open.clear();
  }

  #pipe(calls: ProcessCalls): { readonly read: number; readonly write: number } {
    const pipe = calls.pipe();
    this.#open.add(pipe.read).add(pipe.write);
    return pipe;
  }
}
