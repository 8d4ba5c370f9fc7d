// Reads one side of a relayed connection into memory that is used again, and writes what it brings to the other side. Of a
// large body that nobody looks at only the beginning of each piece is read: the rest is moved within the kernel.
import { ReadBuffers, sharedBuffer } from '../gateway/read-buffers.ts';
import { KernelPipe } from './kernel-pipe.ts';
import type { LightSocket, SocketOwner } from './light-socket.ts';

/** Worth a pipe for a while, or a buffer of its own out of which bytes are written on without a copy. */
const LARGE_READ = 16_384;
/** Until others have their turn. */
const MOST_AT_ONCE = 1_048_576;
/** Of all connections whose bytes are moved: read into to learn that there are some. */
const beginning = Buffer.allocUnsafeSlow(4096);

/** What both readers of a connection are part of. */
export interface RelayWatch {
  /** So many bytes have come. */
  count(reader: RelayReader, bytes: number): void;
  ended(reader: RelayReader): void;
  closed(reader: RelayReader): void;
}

export class RelayReader implements SocketOwner {
  readonly from: LightSocket;
  readonly #to: LightSocket;
  readonly #watch: RelayWatch;
  readonly #filter: ((bytes: Buffer) => Buffer) | undefined;
  readonly #buffers = new ReadBuffers();
  #opposite: RelayReader | undefined;
  #pipe: KernelPipe | undefined;
  /** For the other side to take what is in the pipe. */
  #waits = false;
  #isLarge = false;

  /** @param filter what of the bytes may go on to the other side: a part of them, or others. Default: all, unread */
  constructor(from: LightSocket, to: LightSocket, watch: RelayWatch, filter?: (bytes: Buffer) => Buffer) {
    this.from = from;
    this.#to = to;
    this.#watch = watch;
    this.#filter = filter;
  }

  /** @param opposite the one of the other side, which may go on when this side has room again */
  start(opposite: RelayReader): void {
    this.#opposite = opposite;
    this.from.owner = this;
    this.from.resume();
  }

  onData(length: number, buffer: Buffer): void {
    this.#read(buffer, length);
    if (!this.from.destroyed) this.from.readBuffer = this.#next() ?? this.from.readBuffer;
  }

  onEnd(): void {
    this.#watch.ended(this);
  }

  onDrain(): void {
    this.#opposite?.resume();
  }

  onClose(): void {
    this.#buffers.release();
    this.#returnPipe();
    this.#watch.closed(this);
  }

  resume(): void {
    if (!this.#waits && !this.#buffers.waiting && !this.#to.writableNeedDrain) this.from.resume();
  }

  #look(bytes: Buffer): Buffer {
    this.#watch.count(this, bytes.length);
    return this.#filter?.(bytes) ?? bytes;
  }

  /** Of bytes in a buffer that is read into again. */
  #read(buf: Buffer, length: number): void {
    this.#isLarge = length >= LARGE_READ;
    const bytes = this.#look(length === buf.length ? buf : buf.subarray(0, length));
    const isFull = length === buf.length;
    // Nothing may overtake what is still to be written.
    if (this.#pipe !== undefined && isFull && this.#to.writableLength === 0) this.#move(this.#pipe, bytes);
    else if (this.#buffers.owns(buf) && bytes.buffer === buf.buffer) this.#lend(bytes);
    else this.#pass(bytes);
  }

  /** Where to read next; undefined: as before. */
  #next(): Buffer | undefined {
    if (this.#pipe !== undefined) {
      if (this.#isLarge || this.#waits) return undefined;
      this.#returnPipe();
      return sharedBuffer;
    }
    if (this.#isLarge && this.#filter === undefined && !this.#buffers.waiting) {
      this.#pipe = KernelPipe.lend();
      if (this.#pipe !== undefined) {
        this.#to.holdNothingBack();
        this.#buffers.release();
        return beginning;
      }
    }
    return this.#buffers.next(this.#isLarge);
  }

  #pass(bytes: Buffer): void {
    if (bytes.length > 0 && !this.#to.writeCopy(bytes, this.from.isReadOut)) this.from.pause();
  }

  /** Writes them as they are, and reads nothing more until they have left. */
  #lend(bytes: Buffer): void {
    if (bytes.length === 0) return;
    const write = this.#buffers.lend();
    let isDone = false;
    this.#to.write(bytes, () => {
      isDone = true;
      if (this.#buffers.written(write)) this.resume();
    });
    if (isDone) return;
    this.#buffers.wait(write);
    this.from.pause();
  }

  /** What was read, and all that has come behind it. */
  #move(pipe: KernelPipe, first: Buffer): void {
    pipe.put(first);
    for (let moved = 0; moved < MOST_AT_ONCE; ) {
      const length = pipe.fill(this.from.fd);
      if (length > 0) {
        moved += length;
        this.#watch.count(this, length);
        this.#isLarge ||= moved >= LARGE_READ;
      }
      if (!this.#empty(pipe) || length <= 0) break;
    }
  }

  /** Returns whether the pipe is empty; if it is not, nothing is read until it is. */
  #empty(pipe: KernelPipe): boolean {
    while (pipe.length > 0) {
      if (pipe.empty(this.#to.fd) > 0) continue;
      // A write waits for room, and finds out why there is none where there will never be.
      let isDone = false;
      this.#to.write(pipe.take(), () => {
        isDone = true;
        if (this.#waits) this.#goOn();
      });
      if (!isDone) {
        this.#waits = true;
        this.from.pause();
        return false;
      }
    }
    return true;
  }

  /** There is room again. */
  #goOn(): void {
    this.#waits = false;
    if (this.#pipe === undefined || this.#empty(this.#pipe)) this.resume();
  }

  #returnPipe(): void {
    this.#pipe?.giveBack();
    this.#pipe = undefined;
    this.#waits = false;
  }
}
