// What the Connection header of a message says (RFC 9110, section 7.6.1).

import { Kind } from './field-kinds.ts';
import { equalsIgnoringCase, type FieldTable, lowerCase } from './field-table.ts';

const COMMA = 0x2c;

/** Fields that hold a message together: a sender that nominates them as hop-by-hop is not obeyed. */
const KEPT = new Set(['host', 'content-length', 'transfer-encoding', 'trailer', 'content-type', 'content-encoding']);

export class ConnectionOptions {
  close = false;
  keepAlive = false;
  upgrade = false;
  /** Lower-case names of further fields that end at this hop; almost always empty. */
  nominated: string[] | undefined;

  clear(): void {
    this.close = false;
    this.keepAlive = false;
    this.upgrade = false;
    this.nominated = undefined;
  }

  /** Adds what a Connection value at [start, end) of `buf` lists. */
  read(buf: Buffer, start: number, end: number): void {
    let pos = start;
    while (pos <= end) {
      let stop = pos;
      while (stop < end && buf[stop] !== COMMA) stop++;
      let last = stop;
      while (pos < last && buf[pos]! <= 0x20) pos++;
      while (last > pos && buf[last - 1]! <= 0x20) last--;
      if (equalsIgnoringCase(buf, pos, last, 'close')) this.close = true;
      else if (equalsIgnoringCase(buf, pos, last, 'keep-alive')) this.keepAlive = true;
      else if (equalsIgnoringCase(buf, pos, last, 'upgrade')) this.upgrade = true;
      else if (last > pos) this.#nominate(buf.toString('latin1', pos, last).toLowerCase());
      pos = stop + 1;
    }
  }

  #nominate(name: string): void {
    if (KEPT.has(name)) return;
    this.nominated ??= [];
    this.nominated.push(name);
  }

  /** Whether the field at `index` of `fields` is one that the sender nominated. */
  ends(buf: Buffer, fields: FieldTable, index: number): boolean {
    if (this.nominated === undefined || fields.kind(index) !== Kind.other) return false;
    const start = fields.lineStart(index);
    const end = fields.nameEnd(index);
    return this.nominated.some((name) => equalsIgnoringCase(buf, start, end, name));
  }
}

/** Whether `text` (lower case) occurs in [start, end) of `buf` in any case. */
export function containsIgnoringCase(buf: Uint8Array, start: number, end: number, text: string): boolean {
  const last = end - text.length;
  for (let at = start; at <= last; at++) {
    let i = 0;
    while (i < text.length && lowerCase(buf[at + i]!) === text.charCodeAt(i)) i++;
    if (i === text.length) return true;
  }
  return false;
}
