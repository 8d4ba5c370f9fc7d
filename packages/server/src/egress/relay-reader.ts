// Reads one side of a relayed connection into memory that is used again, and writes what it brings to the other side. Of a
// large body that nobody looks at only the beginning of each piece is read: the rest is moved within the kernel.
import type { Socket } from 'node:net';
import { ReadBuffers, sharedBuffer } from '../gateway/read-buffers.ts';
import { type Reader, readInto } from '../gateway/read-into.ts';
import { KernelPipe } from './kernel-pipe.ts';
import { LightSocket } from './light-socket.ts';
import type { RelaySocket } from './relay-socket.ts';

/** Worth a pipe for a while, or a buffer of its own out of which bytes are written on without a copy. */
const LARGE_READ = 16_384;
/** Until others have their turn. */
const MOST_AT_ONCE = 1_048_576;
/** Of all connections whose bytes are moved: read into to learn that there are some. */
const beginning = Buffer.allocUnsafeSlow(4096);

export interface Passage {
  /** Called with the number of bytes that came. */
  readonly count: (bytes: number) => void;
  /** What of the bytes may go on to the other side: a part of them, or others. Without it all go on unread. */
  readonly filter?: ((bytes: Buffer) => Buffer) | undefined;
}

export class RelayReader {
  readonly #from: RelaySocket;
  readonly #to: RelaySocket;
  readonly #passage: Passage;
  readonly #buffers = new ReadBuffers();
  #pipe: KernelPipe | undefined;
  /** For the other side to take what is in the pipe. */
  #waits = false;
  #isLarge = false;

  constructor(from: RelaySocket, to: RelaySocket, passage: Passage) {
    this.#from = from;
    this.#to = to;
    this.#passage = passage;
  }

  /** Begins, or goes on once the other side has room again. */
  start(): void {
    const reader: Reader = { read: (length, buf) => this.#read(buf, length), next: () => this.#next() };
    const from = this.#from;
    if (from instanceof LightSocket) from.readInto(sharedBuffer, reader);
    else if (!readInto(from as Socket, sharedBuffer, reader))
      this.#from.on('data', (chunk: Buffer) => this.#pass(this.#look(chunk)));
    this.#to.on('drain', () => this.#resume());
    this.#from.once('close', () => {
      this.#buffers.release();
      this.#returnPipe();
    });
    this.#from.resume();
  }

  #look(bytes: Buffer): Buffer {
    this.#passage.count(bytes.length);
    return this.#passage.filter?.(bytes) ?? bytes;
  }

  /** Of bytes in a buffer that is read into again. */
  #read(buf: Buffer, length: number): void {
    this.#isLarge = length >= LARGE_READ;
    const bytes = this.#look(buf.subarray(0, length));
    const isFull = length === buf.length;
    // Nothing may overtake what is still to be written.
    if (this.#pipe !== undefined && isFull && this.#to.writableLength === 0) this.#move(this.#pipe, bytes);
    else if (this.#buffers.owns(buf) && bytes.buffer === buf.buffer) this.#lend(bytes);
    else this.#pass(bytes.buffer === buf.buffer ? Buffer.from(bytes) : bytes);
  }

  /** Where to read next; undefined: as before. */
  #next(): Buffer | undefined {
    if (this.#pipe !== undefined) {
      if (this.#isLarge || this.#waits) return undefined;
      this.#returnPipe();
      return sharedBuffer;
    }
    if (this.#isLarge && this.#mayMove() && !this.#buffers.waiting) {
      this.#pipe = KernelPipe.lend();
      if (this.#pipe !== undefined) {
        (this.#to as LightSocket).holdNothingBack();
        this.#buffers.release();
        return beginning;
      }
    }
    return this.#buffers.next(this.#isLarge);
  }

  #mayMove(): boolean {
    const { filter } = this.#passage;
    return filter === undefined && this.#from instanceof LightSocket && this.#to instanceof LightSocket;
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

  /** What was read, and all that has come behind it. */
  #move(pipe: KernelPipe, first: Buffer): void {
    pipe.put(first);
    for (let moved = 0; moved < MOST_AT_ONCE; ) {
      const length = pipe.fill((this.#from as LightSocket).fd);
      if (length > 0) {
        moved += length;
        this.#passage.count(length);
        this.#isLarge ||= moved >= LARGE_READ;
      }
      if (!this.#empty(pipe) || length <= 0) break;
    }
  }

  /** Returns whether the pipe is empty; if it is not, nothing is read until it is. */
  #empty(pipe: KernelPipe): boolean {
    const to = this.#to as LightSocket;
    while (pipe.length > 0) {
      if (pipe.empty(to.fd) > 0) continue;
      // A write waits for room, and finds out why there is none where there will never be.
      let isDone = false;
      to.write(pipe.take(), () => {
        isDone = true;
        if (this.#waits) this.#goOn();
      });
      if (!isDone) {
        this.#waits = true;
        this.#from.pause();
        return false;
      }
    }
    return true;
  }

  /** There is room again. */
  #goOn(): void {
    this.#waits = false;
    if (this.#pipe === undefined || this.#empty(this.#pipe)) this.#resume();
  }

  #returnPipe(): void {
    this.#pipe?.giveBack();
    this.#pipe = undefined;
    this.#waits = false;
  }

  #resume(): void {
    if (!this.#waits && !this.#buffers.waiting && !this.#to.writableNeedDrain) this.#from.resume();
  }
}
