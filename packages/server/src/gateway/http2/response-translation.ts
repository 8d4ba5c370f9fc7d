// An HTTP/1.1 response head as HTTP/2 header fields.

import { narrowSetCookie } from '../access/narrow-set-cookie.ts';
import { Kind } from '../http1/field-kinds.ts';
import type { FieldTable } from '../http1/field-table.ts';
import type { ResponseHead } from '../http1/response-head.ts';

/** Names and values in turn, with the status first. */
export function toHttp2Fields(head: ResponseHead): string[] {
  const fields = [':status', String(head.status)];
  for (let i = 0; i < head.fields.count; i++) {
    switch (head.fields.kind(i)) {
      case Kind.connection:
      case Kind.keepAlive:
      case Kind.transferEncoding:
      case Kind.upgrade:
      case Kind.drop:
        continue;
      case Kind.contentLength:
        if (head.status < 200 || head.status === 204) continue;
        break;
      case Kind.setCookie: {
        const value = narrowSetCookie(fieldValue(head.buf, head.fields, i));
        if (value !== undefined) fields.push('set-cookie', value);
        continue;
      }
      default:
        if (head.connection.ends(head.buf, head.fields, i)) continue;
    }
    fields.push(fieldName(head.buf, head.fields, i), fieldValue(head.buf, head.fields, i));
  }
  return fields;
}

/** The fields of a trailer section by name. */
export function toTrailers(section: Buffer, table: FieldTable): Record<string, string | string[]> {
  const trailers: Record<string, string | string[]> = {};
  if (table.read(section, 0, section.length) < 1) return trailers;
  for (let i = 0; i < table.count; i++) {
    const name = fieldName(section, table, i);
    const value = fieldValue(section, table, i);
    const known = trailers[name];
    trailers[name] = known === undefined ? value : [known, value].flat();
  }
  return trailers;
}

function fieldName(buf: Buffer, fields: FieldTable, index: number): string {
  return buf.toString('latin1', fields.lineStart(index), fields.nameEnd(index)).toLowerCase();
}

function fieldValue(buf: Buffer, fields: FieldTable, index: number): string {
  return buf.toString('latin1', fields.valueStart(index), fields.valueEnd(index));
}
