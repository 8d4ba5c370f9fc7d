// The header lines of one head, as positions in the buffer it was read from: no strings, no objects.

import { limits } from '../limits.ts';
import { COLON, CR, isTokenByte, isValueByte, LF, SPACE, TAB } from './bytes.ts';
import { kindOfField } from './field-kinds.ts';

/** Results of parsers below 1; a position in the buffer is always above 0. */
export const Parse = {
  /** The bytes end before the head does. */
  incomplete: 0,
  malformed: -1,
  tooLarge: -2,
  uriTooLong: -3,
  notImplemented: -4,
} as const;

const STRIDE = 5;

/** A table is filled by a parser, is valid as long as the buffer it was filled from, and is used again. */
export class FieldTable {
  count = 0;
  /** For each field: start of its line, end of the name, start and end of the value, kind. */
  readonly #at = new Int32Array(limits.headerCount * STRIDE);

  lineStart(index: number): number {
    return this.#at[index * STRIDE]!;
  }
  nameEnd(index: number): number {
    return this.#at[index * STRIDE + 1]!;
  }
  valueStart(index: number): number {
    return this.#at[index * STRIDE + 2]!;
  }
  valueEnd(index: number): number {
    return this.#at[index * STRIDE + 3]!;
  }
  kind(index: number): number {
    return this.#at[index * STRIDE + 4]!;
  }

  /**
   * Reads header lines from `pos` up to and with the empty line.
   *
   * @returns the position after the empty line, or a value of `Parse`
   */
  read(buf: Uint8Array, pos: number, end: number): number {
    const at = this.#at;
    this.count = 0;
    for (;;) {
      if (pos >= end) return Parse.incomplete;
      const lineStart = pos;
      if (buf[pos] === CR) {
        if (pos + 1 >= end) return Parse.incomplete;
        return buf[pos + 1] === LF ? pos + 2 : Parse.malformed;
      }
      // A line that starts with a space is obs-fold (RFC 9112, section 5.2); a space is no token byte.
      while (pos < end && isTokenByte[buf[pos]!] === 1) pos++;
      if (pos >= end) return Parse.incomplete;
      const nameEnd = pos;
      if (nameEnd === lineStart || buf[pos] !== COLON) return Parse.malformed;
      pos++;
      while (pos < end && (buf[pos] === SPACE || buf[pos] === TAB)) pos++;
      const valueStart = pos;
      while (pos < end && isValueByte[buf[pos]!] === 1) pos++;
      if (pos + 1 >= end) return pos < end && buf[pos] !== CR ? Parse.malformed : Parse.incomplete;
      if (buf[pos] !== CR || buf[pos + 1] !== LF) return Parse.malformed;
      let valueEnd = pos;
      while (valueEnd > valueStart && (buf[valueEnd - 1] === SPACE || buf[valueEnd - 1] === TAB)) valueEnd--;
      pos += 2;
      if (this.count === limits.headerCount) return Parse.tooLarge;
      const base = this.count * STRIDE;
      at[base] = lineStart;
      at[base + 1] = nameEnd;
      at[base + 2] = valueStart;
      at[base + 3] = valueEnd;
      at[base + 4] = kindOfField(buf, lineStart, nameEnd);
      this.count++;
    }
  }

  /** Whether a tab stands around the value: legal, and not stripped by some servers, which then read another value. */
  hasTab(buf: Uint8Array, index: number): boolean {
    for (let i = this.nameEnd(index) + 1; i < this.valueStart(index); i++) if (buf[i] === TAB) return true;
    for (let i = this.valueEnd(index); buf[i] !== CR; i++) if (buf[i] === TAB) return true;
    return false;
  }

  /** The value of the first field of this name (lower case) as a string, for what is read rarely. */
  value(buf: Buffer, name: string): string | undefined {
    const index = this.find(buf, name);
    return index === -1 ? undefined : buf.toString('latin1', this.valueStart(index), this.valueEnd(index));
  }

  /** The values of all fields of this name (lower case). */
  values(buf: Buffer, name: string): string[] {
    const values: string[] = [];
    for (let i = this.find(buf, name); i !== -1; i = this.find(buf, name, i + 1)) {
      values.push(buf.toString('latin1', this.valueStart(i), this.valueEnd(i)));
    }
    return values;
  }

  /** The index of the first field of this name (lower case) at or after `from`, or -1. */
  find(buf: Buffer, name: string, from = 0): number {
    for (let i = from; i < this.count; i++) {
      const start = this.lineStart(i);
      if (this.nameEnd(i) - start !== name.length) continue;
      let same = 0;
      while (same < name.length && lowerCase(buf[start + same]!) === name.charCodeAt(same)) same++;
      if (same === name.length) return i;
    }
    return -1;
  }
}

export function lowerCase(byte: number): number {
  return byte >= 0x41 && byte <= 0x5a ? byte | 0x20 : byte;
}

/** Whether [start, end) of `buf` is `text` (lower case, ASCII) in any case. */
export function equalsIgnoringCase(buf: Uint8Array, start: number, end: number, text: string): boolean {
  if (end - start !== text.length) return false;
  for (let i = 0; i < text.length; i++) {
    if (lowerCase(buf[start + i]!) !== text.charCodeAt(i)) return false;
  }
  return true;
}
