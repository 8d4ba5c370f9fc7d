// Where sockets are read into. What is read is used before the callback ends, so that all connections share one buffer;
// only one that brings a large body gets a larger one for itself for a while, whose bytes are written on as they are.

import { limits } from './limits.ts';

/** For every socket that has no other. Its bytes are valid within the callback that brings them. */
export const sharedBuffer = Buffer.allocUnsafeSlow(limits.readBuffer);

const spare: Buffer[] = [];
let lent = 0;

/** One side of a connection as the lender of the buffer that its bytes are in. */
export class ReadBuffers {
  #own: Buffer | undefined;
  #lastWrite = 0;
  /** The write that still needs the bytes of the own buffer, or 0. Until it is done nothing may be read. */
  #pendingWrite = 0;

  /** Whether bytes of `buf` may be written on without a copy, by `lend`. */
  owns(buf: Buffer): boolean {
    return buf === this.#own;
  }

  /** Whether reading has to wait for a write of lent bytes. */
  get waiting(): boolean {
    return this.#pendingWrite !== 0;
  }

  /**
   * The buffer for the next read; undefined: the same as before.
   *
   * @param isBulk whether the last read filled its buffer, and much more is to come
   */
  next(isBulk: boolean): Buffer | undefined {
    if (isBulk) {
      if (this.#own !== undefined || lent >= limits.bulkBuffers) return undefined;
      lent++;
      this.#own = spare.pop() ?? Buffer.allocUnsafeSlow(limits.bulkBuffer);
      return this.#own;
    }
    if (this.#own === undefined || this.waiting) return undefined;
    this.release();
    return sharedBuffer;
  }

  /** Call before a write of lent bytes; the result goes to `written` when the write is done. */
  lend(): number {
    this.#lastWrite++;
    return this.#lastWrite;
  }

  /** The write was not done at once. */
  wait(write: number): void {
    this.#pendingWrite = write;
  }

  /** @returns whether reading may go on that had to wait for this write */
  written(write: number): boolean {
    if (this.#pendingWrite !== write) return false;
    this.#pendingWrite = 0;
    return true;
  }

  /** Gives the own buffer back. One that a write still needs is left to the garbage collector. */
  release(): void {
    const own = this.#own;
    if (own === undefined) return;
    this.#own = undefined;
    lent--;
    if (!this.waiting) spare.push(own);
  }
}
