// Reads a response head in one pass over the bytes. The server behind it is untrusted: it is held to the same grammar.

import { limits } from '../limits.ts';
import { CR, isValueByte, LF, SPACE } from './bytes.ts';
import { ConnectionOptions, containsIgnoringCase } from './connection-options.ts';
import { Kind } from './field-kinds.ts';
import { FieldTable, Parse } from './field-table.ts';
import { Framing, isChunked, readContentLength } from './framing.ts';

const VERSION = Buffer.from('HTTP/1.');

/** A parsed response head: positions in `buf`. Filled again and again; valid until the next `read`. */
export class ResponseHead {
  buf: Buffer = Buffer.alloc(0);
  readonly fields = new FieldTable();
  readonly connection = new ConnectionOptions();
  start = 0;
  /** After the empty line. */
  end = 0;
  minor = 1;
  status = 0;
  /** The status code, the reason and their line's end, after the version and its space. */
  statusStart = 0;
  statusLineEnd = 0;
  framing: number = Framing.none;
  contentLength = 0;
  /** Seconds for which the server says it keeps an idle connection, or -1. */
  keepAliveTimeout = -1;

  /**
   * Reads a head at `start`.
   *
   * @param isHead whether it answers a HEAD request, which has no body whatever its headers say
   * @returns the position after the head, or a value of `Parse`
   */
  read(buf: Buffer, start: number, end: number, isHead: boolean): number {
    this.buf = buf;
    this.start = start;
    let pos = start;
    for (let i = 0; i < VERSION.length; i++, pos++) {
      if (pos >= end) return Parse.incomplete;
      if (buf[pos] !== VERSION[i]) return Parse.malformed;
    }
    if (pos + 5 >= end) return Parse.incomplete;
    this.minor = buf[pos]! - 0x30;
    if ((this.minor !== 0 && this.minor !== 1) || buf[pos + 1] !== SPACE) return Parse.malformed;
    this.statusStart = pos += 2;
    this.status = readContentLength(buf, pos, pos + 3);
    if (this.status < 100) return Parse.malformed;
    pos += 3;
    // The space before an empty reason is required and often left out.
    if (buf[pos] !== SPACE && buf[pos] !== CR) return Parse.malformed;
    while (pos < end && isValueByte[buf[pos]!] === 1) pos++;
    if (pos + 1 >= end) return Parse.incomplete;
    if (buf[pos] !== CR || buf[pos + 1] !== LF) return Parse.malformed;
    this.statusLineEnd = pos + 2;
    const headEnd = this.fields.read(buf, pos + 2, end);
    if (headEnd < 1) return headEnd;
    if (headEnd - start > limits.headBytes) return Parse.tooLarge;
    this.end = headEnd;
    const fault = this.#readFields(isHead);
    return fault === 0 ? headEnd : fault;
  }

  #readFields(isHead: boolean): number {
    const { buf, fields, connection } = this;
    connection.clear();
    this.framing = Framing.close;
    this.contentLength = 0;
    this.keepAliveTimeout = -1;
    let hasLength = false;
    for (let i = 0; i < fields.count; i++) {
      const kind = fields.kind(i);
      if (kind === Kind.other) continue;
      const start = fields.valueStart(i);
      const end = fields.valueEnd(i);
      if (kind === Kind.contentLength) {
        if (hasLength || this.framing === Framing.chunked) return Parse.malformed;
        this.contentLength = readContentLength(buf, start, end);
        if (this.contentLength === -1) return Parse.malformed;
        hasLength = true;
        this.framing = Framing.length;
      } else if (kind === Kind.transferEncoding) {
        if (hasLength || this.framing === Framing.chunked || this.minor === 0) return Parse.malformed;
        if (!isChunked(buf, start, end)) return Parse.notImplemented;
        this.framing = Framing.chunked;
      } else if (kind === Kind.connection) {
        connection.read(buf, start, end);
      } else if (kind === Kind.keepAlive) {
        this.keepAliveTimeout = readTimeout(buf, start, end);
      }
    }
    if (isHead || this.status < 200 || this.status === 204 || this.status === 304) this.framing = Framing.none;
    else if (this.framing === Framing.length && this.contentLength === 0) this.framing = Framing.none;
    return 0;
  }

  /** Whether the server says that it keeps the connection open (RFC 9112, section 9.3). */
  get persistent(): boolean {
    if (this.connection.close || this.framing === Framing.close) return false;
    return this.minor === 1 || this.connection.keepAlive;
  }
}

function readTimeout(buf: Buffer, start: number, end: number): number {
  if (!containsIgnoringCase(buf, start, end, 'timeout=')) return -1;
  const match = /timeout=([0-9]{1,6})/i.exec(buf.toString('latin1', start, end));
  return match === null ? -1 : Number(match[1]);
}
