// Finds the end of a chunked body (RFC 9112, section 7.1) without copying it. Sizes are plain hexadecimal digits and
// every line ends in CR LF: a lenient reader here and another one behind it would see two different requests.

import { limits } from '../limits.ts';
import { CR, findEmptyLine, hexValue, isTokenByte, isValueByte, LF, SPACE, TAB } from './bytes.ts';
import { Kind } from './field-kinds.ts';
import { FieldTable } from './field-table.ts';

const SEMICOLON = 0x3b;
/** Sizes up to 2^48 - 1. */
const MAX_SIZE_DIGITS = 12;

const State = {
  size: 0,
  extension: 1,
  sizeLF: 2,
  data: 3,
  dataCR: 4,
  dataLF: 5,
  trailerStart: 6,
  endLF: 7,
  trailer: 8,
  beforeExtension: 9,
  done: 10,
  failed: 11,
} as const;

/** Takes the data between the chunk lines. */
export interface ChunkData {
  onChunkData(buf: Buffer, start: number, end: number): void;
}

const trailerTable = new FieldTable();

/** One body at a time; `begin` makes it ready for the next. */
export class ChunkedReader {
  #state: number = State.size;
  #remaining = 0;
  #digits = 0;
  #lineBytes = 0;
  #trailer: Buffer = Buffer.alloc(0);

  begin(): void {
    this.#state = State.size;
    this.#digits = 0;
    this.#remaining = 0;
    this.#lineBytes = 0;
    if (this.#trailer.length > 0) this.#trailer = Buffer.alloc(0);
  }

  get done(): boolean {
    return this.#state === State.done;
  }

  get failed(): boolean {
    return this.#state === State.failed;
  }

  /** The trailer section with the empty line that ends it; empty when there were no trailers. */
  get trailer(): Buffer {
    return this.#trailer;
  }

  /** @returns the position after the last byte that belongs to the body; check `done` and `failed` after it */
  read(buf: Buffer, start: number, end: number, data?: ChunkData): number {
    let pos = start;
    while (pos < end) {
      switch (this.#state) {
        case State.data: {
          const part = Math.min(this.#remaining, end - pos);
          data?.onChunkData(buf, pos, pos + part);
          this.#remaining -= part;
          pos += part;
          if (this.#remaining === 0) this.#state = State.dataCR;
          break;
        }
        case State.trailer:
        case State.trailerStart:
          pos = this.#readTrailer(buf, pos, end);
          break;
        default:
          this.#readByte(buf[pos]!);
          pos++;
      }
      if (this.#state >= State.done) return pos;
    }
    return pos;
  }

  #readByte(byte: number): void {
    switch (this.#state) {
      case State.size: {
        const value = hexValue[byte]!;
        if (value < 16) {
          this.#remaining = this.#remaining * 16 + value;
          if (++this.#digits > MAX_SIZE_DIGITS) this.#state = State.failed;
        } else if (this.#digits === 0) {
          this.#state = State.failed;
        } else if (byte === CR) {
          this.#state = State.sizeLF;
        } else {
          this.#state = stateAfterSize(byte);
        }
        return;
      }
      case State.beforeExtension:
        this.#state = stateAfterSize(byte);
        if (++this.#lineBytes > limits.chunkLineBytes) this.#state = State.failed;
        return;
      case State.extension:
        if (byte === CR) this.#state = State.sizeLF;
        else if (isValueByte[byte] !== 1 || ++this.#lineBytes > limits.chunkLineBytes) this.#state = State.failed;
        return;
      case State.sizeLF:
        if (byte !== LF) this.#state = State.failed;
        else this.#state = this.#remaining === 0 ? State.trailerStart : State.data;
        this.#digits = 0;
        return;
      case State.dataCR:
        this.#state = byte === CR ? State.dataLF : State.failed;
        return;
      case State.dataLF:
        this.#state = byte === LF ? State.size : State.failed;
        return;
      case State.endLF:
        this.#state = byte === LF ? State.done : State.failed;
        return;
    }
  }

  #readTrailer(buf: Buffer, pos: number, end: number): number {
    if (this.#state === State.trailerStart) {
      if (buf[pos] === CR) {
        this.#state = State.endLF;
        return pos + 1;
      }
      if (isTokenByte[buf[pos]!] !== 1) {
        this.#state = State.failed;
        return pos;
      }
      this.#state = State.trailer;
    }
    const known = this.#trailer.length;
    const taken = Math.min(end - pos, limits.trailerBytes + 1 - known);
    const joined = Buffer.concat([this.#trailer, buf.subarray(pos, pos + taken)]);
    const stop = findEmptyLine(joined, Math.max(0, known - 2), joined.length);
    if (stop === -1) {
      this.#trailer = joined;
      if (joined.length > limits.trailerBytes) this.#state = State.failed;
      return pos + taken;
    }
    this.#trailer = joined.subarray(0, stop);
    this.#state = isTrailer(this.#trailer) ? State.done : State.failed;
    return pos + stop - known;
  }
}

/** White space may stand before an extension, but not at the end of the line, where readers disagree about it. */
function stateAfterSize(byte: number): number {
  if (byte === SEMICOLON) return State.extension;
  return byte === SPACE || byte === TAB ? State.beforeExtension : State.failed;
}

/** Fields that frame, route or speak for the gateway have no place in a trailer (RFC 9110, section 6.5.1). */
function isTrailer(section: Buffer): boolean {
  if (trailerTable.read(section, 0, section.length) !== section.length) return false;
  for (let i = 0; i < trailerTable.count; i++) if (trailerTable.kind(i) !== Kind.other) return false;
  return true;
}
