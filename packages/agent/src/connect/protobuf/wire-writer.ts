// Writes the parts of a protobuf message into one buffer that grows.
import { LENGTH_DELIMITED, VARINT } from './wire-reader.ts';

export class WireWriter {
  #buffer = Buffer.allocUnsafe(256);
  #length = 0;

  finish(): Buffer {
    return this.#buffer.subarray(0, this.#length);
  }

  /** A number below 2^53, or a 64-bit one. */
  number(field: number, value: number | bigint): void {
    this.#varint(field * 8 + VARINT);
    this.#varint(value);
  }

  text(field: number, value: string): void {
    const size = Buffer.byteLength(value);
    this.#header(field, size);
    this.#length += this.#buffer.write(value, this.#length);
  }

  bytes(field: number, value: Uint8Array): void {
    this.#header(field, value.length);
    this.#buffer.set(value, this.#length);
    this.#length += value.length;
  }

  /** Something inside the message, whose length is known when it is written. */
  nested(field: number, write: () => void): void {
    this.#varint(field * 8 + LENGTH_DELIMITED);
    const start = this.#length;
    write();
    const size = this.#length - start;
    const prefix = varintLength(size);
    this.#reserve(prefix);
    this.#buffer.copyWithin(start + prefix, start, this.#length);
    this.#length = start;
    this.#varint(size);
    this.#length += size;
  }

  #header(field: number, size: number): void {
    this.#varint(field * 8 + LENGTH_DELIMITED);
    this.#varint(size);
    this.#reserve(size);
  }

  #varint(value: number | bigint): void {
    this.#reserve(10);
    let rest = value;
    for (; typeof rest === 'bigint' && rest > 0x7fn; rest >>= 7n) this.#byte(Number(rest & 0x7fn) | 0x80);
    let low = Number(rest);
    for (; low > 0x7f; low = Math.floor(low / 128)) this.#byte((low % 128) | 0x80);
    this.#byte(low);
  }

  #byte(value: number): void {
    this.#buffer[this.#length++] = value;
  }

  #reserve(size: number): void {
    if (this.#length + size <= this.#buffer.length) return;
    const larger = Buffer.allocUnsafe(Math.max(2 * this.#buffer.length, this.#length + size));
    this.#buffer.copy(larger, 0, 0, this.#length);
    this.#buffer = larger;
  }
}

function varintLength(value: number): number {
  let length = 1;
  for (let rest = value; rest > 0x7f; rest = Math.floor(rest / 128)) length++;
  return length;
}
