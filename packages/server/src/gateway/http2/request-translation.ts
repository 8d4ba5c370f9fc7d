// An HTTP/2 request as the HTTP/1.1 request head that its server gets.

import { withoutAccessCookie } from '../access/access-cookie.ts';
import { withoutAccessParameter } from '../access/access-parameter.ts';
import { FORWARDED_HOST } from '../forwarded.ts';
import { limits } from '../limits.ts';
import { toMasked } from '../routing/masked-origin.ts';
import type { RequestFacts } from '../routing/request-facts.ts';
import type { Destination } from '../routing/route-table.ts';

const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const TARGET = /^\/[\x21\x22\x24-\x7e\x80-\xff]*$/;
const VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;
const LENGTH = /^[0-9]{1,15}$/;

/** Lines that are the gateway's own, or end at this hop. Names are compared with `_` read as `-`. */
const DROPPED = new Set([
  'connection',
  'e2b-traffic-access-token',
  'forwarded',
  'host',
  'http2-settings',
  'keep-alive',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'transfer-encoding',
  'upgrade',
  'x-forwarded-for',
  'x-forwarded-host',
  'x-forwarded-port',
  'x-forwarded-proto',
]);

/** The lines of a trailer section, without what frames, routes or speaks for the gateway. */
export function trailerLines(raw: readonly string[]): string {
  let lines = '';
  for (let i = 0; i + 1 < raw.length; i += 2) {
    const name = raw[i]!;
    const value = raw[i + 1]!;
    const plain = name.replaceAll('_', '-');
    if (!TOKEN.test(name) || !VALUE.test(value) || DROPPED.has(plain) || plain === 'content-length') continue;
    lines += `${name}: ${value}\r\n`;
  }
  return lines;
}

type Fault = 'malformed_request' | 'header_too_large' | 'uri_too_long' | 'not_implemented';

/** gRPC itself; gRPC-Web is made for servers that speak HTTP/1.1. */
const GRPC = /^application\/grpc(?![-\w])/;

/** What the server is told of who asks. */
export interface Forwarding {
  /** Up to the host. */
  readonly lines: string;
  readonly host: string;
}

export class Http2Request implements RequestFacts {
  readonly host: string;
  readonly method: string;
  /** Set when the request cannot be served; nothing else is to be used then. */
  readonly fault: Fault | undefined;
  /** The declared length of the body, or -1. */
  readonly contentLength: number;
  readonly #raw: readonly string[];
  readonly #path: string;

  /** @param raw names and values in turn, as `node:http2` reports them */
  constructor(raw: readonly string[]) {
    this.#raw = raw;
    this.method = this.#first(':method') ?? '';
    this.#path = this.#first(':path') ?? '';
    const authority = this.#first(':authority');
    const host = this.#first('host');
    this.host = authority ?? host ?? '';
    const length = this.#first('content-length');
    this.contentLength = length !== undefined && LENGTH.test(length) ? Number(length) : -1;
    const conflict = authority !== undefined && host !== undefined && authority.toLowerCase() !== host.toLowerCase();
    this.fault = conflict || (length !== undefined && this.contentLength === -1) ? 'malformed_request' : this.#check();
  }

  #check(): Fault | undefined {
    if (!TOKEN.test(this.method)) return 'malformed_request';
    // The only thing that is asked for by CONNECT (RFC 8441); a tunnel to anywhere is not to be had.
    if (this.method === 'CONNECT' && !this.isWebSocket) return 'not_implemented';
    if (this.#path.length > limits.targetBytes) return 'uri_too_long';
    if (!TARGET.test(this.#path) && !(this.#path === '*' && this.method === 'OPTIONS')) return 'malformed_request';
    if (!VALUE.test(this.host)) return 'malformed_request';
    let bytes = 0;
    let lengths = 0;
    for (let i = 0; i + 1 < this.#raw.length; i += 2) {
      const name = this.#raw[i]!;
      const value = this.#raw[i + 1]!;
      bytes += name.length + value.length + 4;
      if (name === 'content-length') lengths++;
      if (name.startsWith(':')) continue;
      if (!TOKEN.test(name) || !VALUE.test(value)) return 'malformed_request';
    }
    if (lengths > 1) return 'malformed_request';
    return bytes > limits.headBytes || this.#raw.length / 2 > limits.headerCount + 4 ? 'header_too_large' : undefined;
  }

  path(): string {
    return this.#path;
  }

  /** Whether the stream becomes a WebSocket when the server agrees (RFC 8441, section 5). */
  get isWebSocket(): boolean {
    return this.method === 'CONNECT' && this.#first(':protocol') === 'websocket';
  }

  get isGrpc(): boolean {
    return GRPC.test(this.#first('content-type') ?? '');
  }

  header(name: string): string | undefined {
    return this.#first(name);
  }

  values(name: string): string[] {
    const values: string[] = [];
    for (let i = 0; i + 1 < this.#raw.length; i += 2) if (this.#raw[i] === name) values.push(this.#raw[i + 1]!.trim());
    return values;
  }

  /** The same request as its server may see it; see `alterRequest`. */
  altered({ isPrivate, host, masksOrigin }: Destination): Http2Request {
    const raw: string[] = [];
    for (let i = 0; i + 1 < this.#raw.length; i += 2) {
      const name = this.#raw[i]!;
      const value = this.#raw[i + 1]!;
      let kept = value;
      if (isPrivate && name === 'cookie') kept = withoutAccessCookie(value);
      else if (isPrivate && name === ':path') kept = withoutAccessParameter(value);
      else if (masksOrigin && (name === 'origin' || name === 'referer')) kept = toMasked(value, this.host, host!);
      if (kept !== '' || value === '') raw.push(name, kept);
    }
    return new Http2Request(raw);
  }

  #first(name: string): string | undefined {
    for (let i = 0; i + 1 < this.#raw.length; i += 2) if (this.#raw[i] === name) return this.#raw[i + 1]!.trim();
    return undefined;
  }

  /**
   * The request's head in HTTP/1.1.
   *
   * @param chunked whether a body of unknown length follows
   * @param host what the server shall see as Host instead of the client's own
   */
  toHttp1(chunked: boolean, { lines, host: publicHost }: Forwarding, host: string | undefined): Buffer {
    const method = this.isWebSocket ? 'GET' : this.method;
    let text = `${method} ${this.#path} HTTP/1.1\r\nHost: ${host ?? this.host}\r\n`;
    const fields = this.#forwarded();
    for (let i = 0; i < fields.length; i += 2) text += `${fields[i]}: ${fields[i + 1]}\r\n`;
    if (chunked) text += 'Transfer-Encoding: chunked\r\n';
    if (this.#acceptsTrailers) text += 'TE: trailers\r\n';
    return Buffer.from(`${text}${lines}${publicHost}${FORWARDED_HOST}${publicHost}\r\n\r\n`, 'latin1');
  }

  /** The request's head for a server that speaks HTTP/2: names and values in turn. */
  toHttp2({ lines, host: publicHost }: Forwarding, host: string | undefined): string[] {
    const fields = [':method', this.method, ':scheme', 'http', ':authority', host ?? this.host, ':path', this.#path];
    for (const text of this.#forwarded()) fields.push(text);
    if (this.#acceptsTrailers) fields.push('te', 'trailers');
    for (const line of `${lines}${publicHost}${FORWARDED_HOST}${publicHost}`.split('\r\n')) {
      const colon = line.indexOf(':');
      if (colon !== -1) fields.push(line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim());
    }
    return fields;
  }

  get #acceptsTrailers(): boolean {
    return this.#first('te')?.includes('trailers') === true;
  }

  /** What goes on to the server as it is: names and values in turn. */
  #forwarded(): string[] {
    const fields: string[] = [];
    let cookie = '';
    for (let i = 0; i + 1 < this.#raw.length; i += 2) {
      const name = this.#raw[i]!;
      const value = this.#raw[i + 1]!.trim();
      const plain = name.replaceAll('_', '-');
      if (name.startsWith(':') || DROPPED.has(plain)) continue;
      if (plain === 'sec-websocket-key' && this.isWebSocket) continue;
      // An underscore here is a second, unread length to servers that take both for one variable.
      if (plain === 'content-length' && plain !== name) continue;
      // HTTP/2 may send a cookie in pieces; to HTTP/1.1 it is one line (RFC 9113, section 8.2.3).
      if (name === 'cookie') cookie = cookie === '' ? value : `${cookie}; ${value}`;
      else fields.push(name, value);
    }
    if (cookie !== '') fields.push('cookie', cookie);
    return fields;
  }
}
