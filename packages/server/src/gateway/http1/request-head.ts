// Reads a request head in one pass over the bytes, and refuses all that RFC 9112 lets a server refuse.

import { limits } from '../limits.ts';
import type { RequestFacts } from '../routing/request-facts.ts';
import { CR, isTargetByte, isTokenByte, LF, SPACE } from './bytes.ts';
import { ConnectionOptions, containsIgnoringCase } from './connection-options.ts';
import { Kind } from './field-kinds.ts';
import { equalsIgnoringCase, FieldTable, Parse } from './field-table.ts';
import { Framing, isChunked, readContentLength } from './framing.ts';

const SLASH = 0x2f;
const STAR = 0x2a;
const QUESTION = 0x3f;
const LONGEST_METHOD = 32;
/** The bytes of ` HTTP/1.x`, without the digit and the line's end. */
const VERSION = Buffer.from('HTTP/1.');

/** A parsed request head: positions in `buf`. One object is filled again and again; valid until the next `read`. */
export class RequestHead implements RequestFacts {
  buf: Buffer = Buffer.alloc(0);
  readonly fields = new FieldTable();
  readonly connection = new ConnectionOptions();
  start = 0;
  /** After the empty line. */
  end = 0;
  methodEnd = 0;
  /** The target in origin-form: of an absolute-form target, what follows the authority. */
  targetStart = 0;
  targetEnd = 0;
  /** Of an absolute-form target without a path: `/` goes before the target. */
  needsSlash = false;
  /** Whether the first line can be forwarded as it is. */
  plainLine = false;
  /** 0 or 1, of HTTP/1.x. */
  minor = 1;
  framing: number = Framing.none;
  contentLength = 0;
  isHead = false;
  /** The client asks for another protocol on this connection, and the gateway is willing to pass that on. */
  isUpgrade = false;
  /** `TE: trailers`, which is for every hop to repeat (RFC 9110, section 10.1.4). */
  acceptsTrailers = false;
  #host = -1;

  /**
   * Reads a head at `start`.
   *
   * @returns the position after the head, or a value of `Parse`
   */
  read(buf: Buffer, start: number, end: number): number {
    this.buf = buf;
    this.start = start;
    let pos = start;
    while (pos < end && isTokenByte[buf[pos]!] === 1) pos++;
    if (pos - start > LONGEST_METHOD) return Parse.malformed;
    if (pos >= end) return Parse.incomplete;
    if (pos === start || buf[pos] !== SPACE) return Parse.malformed;
    this.methodEnd = pos;
    const targetStart = ++pos;
    while (pos < end && isTargetByte[buf[pos]!] === 1) pos++;
    if (pos - targetStart > limits.targetBytes) return Parse.uriTooLong;
    if (pos >= end) return Parse.incomplete;
    if (pos === targetStart || buf[pos] !== SPACE) return Parse.malformed;
    const targetEnd = pos++;
    for (let i = 0; i < VERSION.length; i++, pos++) {
      if (pos >= end) return Parse.incomplete;
      if (buf[pos] !== VERSION[i]) return Parse.malformed;
    }
    if (pos + 2 >= end) return Parse.incomplete;
    this.minor = buf[pos]! - 0x30;
    if ((this.minor !== 0 && this.minor !== 1) || buf[pos + 1] !== CR || buf[pos + 2] !== LF) return Parse.malformed;
    const headEnd = this.fields.read(buf, pos + 3, end);
    if (headEnd < 1) return headEnd;
    if (headEnd - start > limits.headBytes) return Parse.tooLarge;
    this.end = headEnd;
    const fault = this.#readFields() || this.#readTarget(targetStart, targetEnd);
    return fault === 0 ? headEnd : fault;
  }

  #readFields(): number {
    const { buf, fields, connection } = this;
    connection.clear();
    this.framing = Framing.none;
    this.contentLength = 0;
    this.acceptsTrailers = false;
    this.#host = -1;
    let hasUpgrade = false;
    let hasLength = false;
    for (let i = 0; i < fields.count; i++) {
      const kind = fields.kind(i);
      if (kind === Kind.other) continue;
      const start = fields.valueStart(i);
      const end = fields.valueEnd(i);
      if ((kind === Kind.contentLength || kind === Kind.transferEncoding) && fields.hasTab(buf, i)) {
        return Parse.malformed;
      }
      if (kind === Kind.host) {
        if (this.#host !== -1) return Parse.malformed;
        this.#host = i;
      } else if (kind === Kind.contentLength) {
        if (hasLength || this.framing === Framing.chunked) return Parse.malformed;
        this.contentLength = readContentLength(buf, start, end);
        if (this.contentLength === -1) return Parse.malformed;
        hasLength = true;
        if (this.contentLength > 0) this.framing = Framing.length;
      } else if (kind === Kind.transferEncoding) {
        if (hasLength || this.framing === Framing.chunked || this.minor === 0) return Parse.malformed;
        if (!isChunked(buf, start, end)) return Parse.notImplemented;
        this.framing = Framing.chunked;
      } else if (kind === Kind.connection) {
        connection.read(buf, start, end);
      } else if (kind === Kind.upgrade) {
        // A tunnel of HTTP/2 would carry requests past every check made here.
        hasUpgrade = !containsIgnoringCase(buf, start, end, 'h2c');
      } else if (kind === Kind.te) {
        this.acceptsTrailers ||= containsIgnoringCase(buf, start, end, 'trailers');
      }
    }
    if (this.#host === -1) return Parse.malformed;
    this.isUpgrade = hasUpgrade && connection.upgrade && this.framing === Framing.none && this.minor === 1;
    return 0;
  }

  #readTarget(start: number, end: number): number {
    const { buf } = this;
    const methodLength = this.methodEnd - this.start;
    this.isHead = methodLength === 4 && buf.toString('latin1', this.start, this.methodEnd) === 'HEAD';
    this.targetStart = start;
    this.targetEnd = end;
    this.needsSlash = false;
    this.plainLine = this.minor === 1;
    if (methodLength === 7) {
      const method = buf.toString('latin1', this.start, this.methodEnd);
      if (method === 'CONNECT') return Parse.notImplemented;
      if (method === 'OPTIONS' && buf[start] === STAR && end - start === 1) return 0;
    }
    if (buf[start] === SLASH) return 0;
    let authority: number;
    if (equalsIgnoringCase(buf, start, start + 7, 'http://')) authority = start + 7;
    else if (equalsIgnoringCase(buf, start, start + 8, 'https://')) authority = start + 8;
    else return Parse.malformed;
    let pathStart = authority;
    while (pathStart < end && buf[pathStart] !== SLASH && buf[pathStart] !== QUESTION) pathStart++;
    const named = buf.toString('latin1', authority, pathStart).toLowerCase();
    // RFC 9112, section 3.2.2 lets the target win over Host; a client that names two hosts is up to something.
    if (named !== this.host.toLowerCase()) return Parse.malformed;
    this.targetStart = pathStart;
    this.needsSlash = buf[pathStart] !== SLASH || pathStart === end;
    this.plainLine = false;
    return 0;
  }

  get host(): string {
    return this.buf.toString('latin1', this.fields.valueStart(this.#host), this.fields.valueEnd(this.#host));
  }

  get hostStart(): number {
    return this.fields.valueStart(this.#host);
  }

  get hostEnd(): number {
    return this.fields.valueEnd(this.#host);
  }

  get method(): string {
    return this.buf.toString('latin1', this.start, this.methodEnd);
  }

  path(): string {
    const target = this.buf.toString('latin1', this.targetStart, this.targetEnd);
    return this.needsSlash ? `/${target}` : target;
  }

  header(name: string): string | undefined {
    return this.fields.value(this.buf, name);
  }

  values(name: string): string[] {
    return this.fields.values(this.buf, name);
  }
}
