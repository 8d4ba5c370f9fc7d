// Follows one body through the buffers that carry it, whatever frames it.

import { type ChunkData, ChunkedReader } from './chunked.ts';
import { Framing } from './framing.ts';

/** Owned by a connection and used for one body after the other. */
export class BodyReader {
  done = true;
  failed = false;
  #framing: number = Framing.none;
  #remaining = 0;
  #chunked: ChunkedReader | undefined;

  begin(framing: number, contentLength: number): void {
    this.#framing = framing;
    this.failed = false;
    this.done = framing === Framing.none;
    this.#remaining = contentLength;
    if (framing === Framing.chunked) {
      this.#chunked ??= new ChunkedReader();
      this.#chunked.begin();
    }
  }

  /** The trailer section of a chunked body that is done, or nothing. */
  get trailer(): Buffer | undefined {
    return this.#framing === Framing.chunked ? this.#chunked?.trailer : undefined;
  }

  get untilClose(): boolean {
    return this.#framing === Framing.close;
  }

  /**
   * Takes the part of [start, end) that belongs to the body.
   *
   * @param data takes the contents of chunks; a caller that forwards the framing too leaves it out
   * @returns the position after that part; check `done` and `failed` after it
   */
  read(buf: Buffer, start: number, end: number, data?: ChunkData): number {
    if (this.done) return start;
    if (this.#framing === Framing.chunked) {
      const chunked = this.#chunked!;
      const pos = chunked.read(buf, start, end, data);
      this.done = chunked.done;
      this.failed = chunked.failed;
      return pos;
    }
    let pos = end;
    if (this.#framing === Framing.length) {
      pos = Math.min(end, start + this.#remaining);
      this.#remaining -= pos - start;
      this.done = this.#remaining === 0;
    }
    if (data !== undefined && pos > start) data.onChunkData(buf, start, pos);
    return pos;
  }

  /** The connection has ended: whether that is where the body ends. */
  endOfConnection(): boolean {
    if (this.#framing === Framing.close) this.done = true;
    return this.done;
  }
}
