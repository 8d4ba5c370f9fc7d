// Reads the parts of a protobuf message (protobuf.dev/programming-guides/encoding). The bytes may be anything.
import { invalid } from '../message-fields.ts';

export const VARINT = 0;
const FIXED64 = 1;
export const LENGTH_DELIMITED = 2;
const START_GROUP = 3;
const END_GROUP = 4;
const FIXED32 = 5;
/** Groups are the only thing that nests without end in bytes that nobody asked for. */
const MAX_GROUP_DEPTH = 32;

// A byte order mark is text here.
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

export class WireReader {
  readonly #bytes: Uint8Array;
  #at = 0;
  /** Of the last varint: its low 32 bits, and whether any higher bit is set. */
  #low = 0;
  #high = false;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get done(): boolean {
    return this.#at === this.#bytes.length;
  }

  /** Number and wire type of the next field. */
  tag(): { readonly number: number; readonly type: number } {
    this.#varint();
    if (this.#high || this.#low >>> 3 === 0) throw malformed();
    return { number: this.#low >>> 3, type: this.#low & 7 };
  }

  /** A number, cut to its low 32 bits as the format demands. */
  uint32(): number {
    this.#varint();
    return this.#low;
  }

  bool(): boolean {
    this.#varint();
    return this.#high || this.#low !== 0;
  }

  bytes(): Uint8Array {
    this.#varint();
    if (this.#high) throw malformed();
    return this.#take(this.#low);
  }

  text(): string {
    try {
      return utf8.decode(this.bytes());
    } catch {
      throw malformed();
    }
  }

  /** Passes over a field that is not known. */
  skip({ number, type }: { readonly number: number; readonly type: number }, depth = 0): void {
    if (type === VARINT) this.#varint();
    else if (type === FIXED64) this.#take(8);
    else if (type === LENGTH_DELIMITED) this.bytes();
    else if (type === FIXED32) this.#take(4);
    else if (type === START_GROUP && depth < MAX_GROUP_DEPTH) this.#skipGroup(number, depth);
    else throw malformed();
  }

  #skipGroup(number: number, depth: number): void {
    for (;;) {
      const tag = this.tag();
      if (tag.type !== END_GROUP) this.skip(tag, depth + 1);
      else if (tag.number === number) return;
      else throw malformed();
    }
  }

  #varint(): void {
    this.#low = 0;
    this.#high = false;
    for (let shift = 0; shift < 70; shift += 7) {
      const byte = this.#bytes[this.#at++];
      if (byte === undefined) throw malformed();
      if (shift < 32) this.#low = (this.#low | ((byte & 0x7f) << shift)) >>> 0;
      if (shift > 28 && (byte & 0x7f) !== 0) this.#high = true;
      if (shift === 28 && (byte & 0x70) !== 0) this.#high = true;
      if (byte < 0x80) return;
    }
    throw malformed();
  }

  #take(length: number): Uint8Array {
    const end = this.#at + length;
    if (end > this.#bytes.length) throw malformed();
    const taken = this.#bytes.subarray(this.#at, end);
    this.#at = end;
    return taken;
  }
}

function malformed(): Error {
  return invalid('the message is not valid protobuf');
}
