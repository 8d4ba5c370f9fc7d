// Moves bytes from one connection to another within the kernel (splice(2)), so that the process copies none of them: two
// copies are half of what relaying a large body costs. Between two connections there has to be a pipe.
import { closeSync, readSync, writeSync } from 'node:fs';
import { loadKoffi } from '@sandport/native/koffi';

/** fcntl.h */
const O_NONBLOCK = 0o4000;
const O_CLOEXEC = 0o2000000;
const F_SETPIPE_SZ = 1031;
const SPLICE_F_MOVE = 1;
const SPLICE_F_NONBLOCK = 2;
const SPLICE_FLAGS = SPLICE_F_MOVE | SPLICE_F_NONBLOCK;
/** What a user may ask for at most (/proc/sys/fs/pipe-max-size). */
const CAPACITY = 1_048_576;
/** At once: half of the pages that the kernel grants one user (pipe-user-pages-soft), beyond which pipes are tiny. */
export const MAX_PIPES = 32;
/** As little as a write needs that is made to learn when there is room again. */
const SMALL = 4096;

type Splice = (from: number, offset: null, to: number, toOffset: null, length: number, flags: number) => number;

interface PipeCalls {
  readonly splice: Splice;
  readonly pipe2: (ends: Int32Array, flags: number) => number;
  readonly fcntl: (fd: number, command: number, value: number) => number;
}

let calls: PipeCalls | undefined;
const spare: KernelPipe[] = [];
let lent = 0;

function pipeCalls(): PipeCalls {
  if (calls !== undefined) return calls;
  const library = loadKoffi().load(null);
  calls = {
    splice: library.func(
      'int64_t splice(int from, int64_t *offset, int to, int64_t *to_offset, size_t length, unsigned int flags)',
    ),
    pipe2: library.func('int pipe2(_Out_ int *ends, int flags)'),
    fcntl: library.func('int fcntl(int fd, int command, int value)'),
  };
  return calls;
}

export class KernelPipe {
  readonly #read: number;
  readonly #write: number;
  /** Bytes in it. */
  length = 0;

  private constructor(read: number, write: number) {
    this.#read = read;
    this.#write = write;
  }

  /** An empty one, to be given back; undefined where there is none to be had. */
  static lend(): KernelPipe | undefined {
    if (lent >= MAX_PIPES) return undefined;
    const pipe = spare.pop() ?? KernelPipe.#open();
    if (pipe !== undefined) lent++;
    return pipe;
  }

  static #open(): KernelPipe | undefined {
    const { pipe2, fcntl } = pipeCalls();
    const ends = new Int32Array(2);
    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) !== 0) return undefined;
    const [read = -1, write = -1] = ends;
    // One that stays as it is moves less at a time.
    fcntl(write, F_SETPIPE_SZ, CAPACITY);
    return new KernelPipe(read, write);
  }

  /** Few enough to have room in an empty one. */
  put(bytes: Buffer): void {
    this.length += writeSync(this.#write, bytes);
  }

  /** Takes what a connection has received. Returns how much, 0 or less when there is nothing, or when it has ended. */
  fill(fd: number): number {
    const moved = pipeCalls().splice(fd, null, this.#write, null, CAPACITY, SPLICE_FLAGS);
    if (moved > 0) this.length += moved;
    return moved;
  }

  /** Sends what is in it. Returns how much, 0 or less when the connection takes nothing now. */
  empty(fd: number): number {
    const moved = pipeCalls().splice(this.#read, null, fd, null, this.length, SPLICE_FLAGS);
    if (moved > 0) this.length -= moved;
    return moved;
  }

  /** Takes the next few bytes out of it. */
  take(): Buffer {
    const bytes = Buffer.allocUnsafe(Math.min(SMALL, this.length));
    const length = readSync(this.#read, bytes);
    this.length -= length;
    return bytes.subarray(0, length);
  }

  /** With what is still in it thrown away. */
  giveBack(): void {
    lent--;
    if (this.length === 0) {
      spare.push(this);
      return;
    }
    closeSync(this.#read);
    closeSync(this.#write);
  }
}
