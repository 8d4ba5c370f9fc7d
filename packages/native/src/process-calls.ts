// What it takes to start a program with real pipes, and to learn of its end. What it throws are Errors with the system's
// code, as Node's own do.
import { loadKoffi, type Native } from './koffi.ts';
import { PosixSpawn, type SpawnOptions } from './posix-spawn.ts';
import { systemError } from './system-error.ts';

const O_CLOEXEC = 0o2000000;
const ANY_CHILD = -1;
const WNOHANG = 1;

/** A child that has ended. */
export interface EndedChild {
  readonly pid: number;
  /** As waitpid(2) gives it. */
  readonly status: number;
}

/** How a process ended: by itself, or by a signal's number. */
export type ExitStatus = { readonly code: number } | { readonly signal: number };

/** Reads a status as waitpid(2) gives it. */
export function readStatus(status: number): ExitStatus {
  const signal = status & 0x7f;
  return signal === 0 ? { code: (status >> 8) & 0xff } : { signal };
}

export class ProcessCalls {
  readonly #errno: () => number;
  readonly #pipe2: Native;
  readonly #waitpid: Native;
  readonly #spawn: PosixSpawn;

  /** @throws Error on a platform without koffi */
  constructor() {
    const koffi = loadKoffi();
    const library = koffi.load(null);
    this.#errno = koffi.errno;
    this.#pipe2 = library.func('int pipe2(_Out_ int *ends, int flags)');
    this.#waitpid = library.func('int waitpid(int pid, _Out_ int *status, int options)');
    this.#spawn = new PosixSpawn(library);
  }

  /** A pipe as its two descriptors. Node's own are socket pairs, which a program cannot open through /dev/stdout. */
  pipe(): { readonly read: number; readonly write: number } {
    const ends = [-1, -1];
    if (this.#pipe2(ends, O_CLOEXEC) !== 0) throw systemError('pipe2', this.#errno());
    return { read: ends[0]!, write: ends[1]! };
  }

  /** Starts a program, and returns its pid. */
  spawn(options: SpawnOptions): number {
    const result = this.#spawn.spawn(options);
    if (result < 0) throw systemError('posix_spawn', -result);
    return result;
  }

  /** Waits for a child that has ended, or for some child; undefined when there is none. */
  ended(pid: number = ANY_CHILD): EndedChild | undefined {
    const status = [0];
    const ended = this.#waitpid(pid, status, WNOHANG);
    return ended > 0 ? { pid: ended, status: status[0]! } : undefined;
  }
}
