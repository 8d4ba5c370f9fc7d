// Reads one side of a relayed connection into memory that is used again, and writes what it brings to the other side.
import type { Socket } from 'node:net';
import { ReadBuffers, sharedBuffer } from '../gateway/read-buffers.ts';
import { type Reader, readInto } from '../gateway/read-into.ts';
import { LightSocket } from './light-socket.ts';
import type { RelaySocket } from './relay-socket.ts';

/** Worth a buffer of its own for a while, out of which bytes are written on without a copy. */
const LARGE_READ = 16_384;

/** What of the bytes may go on to the other side: a part of them, or others. */
export type Filter = (bytes: Buffer) => Buffer;

export class RelayReader {
  readonly #from: RelaySocket;
  readonly #to: RelaySocket;
  readonly #filter: Filter;
  readonly #buffers = new ReadBuffers();
  #isLarge = false;

  constructor(from: RelaySocket, to: RelaySocket, filter: Filter) {
    this.#from = from;
    this.#to = to;
    this.#filter = filter;
  }

  /** Begins, or goes on once the other side has room again. */
  start(): void {
    const reader: Reader = {
      read: (length, buf) => {
        this.#isLarge = length >= LARGE_READ;
        this.#forward(buf, length);
      },
      next: () => this.#buffers.next(this.#isLarge),
    };
    const from = this.#from;
    if (from instanceof LightSocket) from.readInto(sharedBuffer, reader);
    else if (!readInto(from as Socket, sharedBuffer, reader))
      this.#from.on('data', (chunk: Buffer) => this.#pass(this.#filter(chunk)));
    this.#to.on('drain', () => this.#resume());
    this.#from.once('close', () => this.#buffers.release());
    this.#from.resume();
  }

  /** Of bytes in a buffer that is read into again. */
  #forward(buf: Buffer, length: number): void {
    const bytes = this.#filter(buf.subarray(0, length));
    if (bytes.buffer !== buf.buffer) this.#pass(bytes);
    else if (this.#buffers.owns(buf)) this.#lend(bytes);
    else this.#pass(Buffer.from(bytes));
  }

  #pass(bytes: Buffer): void {
    if (bytes.length > 0 && !this.#to.write(bytes)) this.#from.pause();
  }

  /** Writes them as they are, and reads nothing more until they have left. */
  #lend(bytes: Buffer): void {
    if (bytes.length === 0) return;
    const write = this.#buffers.lend();
    this.#to.write(bytes, () => {
      if (this.#buffers.written(write)) this.#resume();
    });
    if (this.#to.writableLength === 0) return;
    this.#buffers.wait(write);
    this.#from.pause();
  }

  #resume(): void {
    if (!this.#buffers.waiting && !this.#to.writableNeedDrain) this.#from.resume();
  }
}
