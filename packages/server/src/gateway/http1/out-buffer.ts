// Where heads are put together, so that a head and what follows it leave in one write.

import type { Writable } from 'node:stream';
import type { TcpStream } from '../tcp-stream.ts';
import { TlsStream } from '../tls-stream.ts';

/**
 * Lends out pieces of a slab, one after the other. A piece whose bytes have left the process is lent out again at once;
 * one that a stream still holds is passed over, and the garbage collector frees the slab after the last of them.
 */
export class OutBuffer {
  buf: Buffer;
  /** Where the next byte goes. */
  pos = 0;
  /** Where the current message starts. */
  start = 0;
  readonly #slabBytes: number;

  constructor(slabBytes: number) {
    this.#slabBytes = slabBytes;
    this.buf = Buffer.allocUnsafeSlow(slabBytes);
  }

  /** Makes room for a message of up to `bytes`, and starts it. */
  begin(bytes: number): void {
    if (this.buf.length - this.start < bytes) {
      this.buf = Buffer.allocUnsafeSlow(Math.max(bytes, this.#slabBytes));
      this.start = 0;
    }
    this.pos = this.start;
  }

  text(text: string): void {
    this.pos += this.buf.write(text, this.pos, 'latin1');
  }

  bytes(source: Buffer, start: number, end: number): void {
    if (end > start) this.pos += source.copy(this.buf, this.pos, start, end);
  }

  /** The message so far, which the caller may keep. */
  take(): Buffer {
    const piece = this.buf.subarray(this.start, this.pos);
    this.start = this.pos;
    return piece;
  }

  /** @returns false when the stream wants its reader to catch up first; it will emit `drain` */
  writeTo(stream: Writable | TcpStream | TlsStream): boolean {
    const piece = this.buf.subarray(this.start, this.pos);
    const free = stream.write(piece);
    if (stream.writableLength === 0) return true;
    if (!(stream instanceof TlsStream) || stream.holdsBytes) this.start = this.pos;
    return free;
  }
}
