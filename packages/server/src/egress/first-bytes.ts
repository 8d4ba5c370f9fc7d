// Reads from a new connection as much as it takes to know which host it names.
import { Parse } from '../gateway/http1/field-table.ts';
import { RequestHead } from '../gateway/http1/request-head.ts';
import { looksLikeTls, MAX_CLIENT_HELLO, readClientHello } from './client-hello.ts';
import { readHostName } from './domain-pattern.ts';
import type { LightSocket, SocketOwner } from './light-socket.ts';

/** From the connection to its last byte of a TLS hello or request head. */
const FIRST_BYTES_MS = 10_000;
const MAX_HEAD = MAX_CLIENT_HELLO + 5 * 16;
/** Each is looked at with all before it: a head in single bytes would keep the process busy. */
const MAX_CHUNKS = 100;
const NOTHING = Buffer.alloc(0);
/** For all connections: what is read into it is used at once. */
const head = new RequestHead();

export type FirstBytes =
  /** `name` is absent where none is given, or an address. */
  | { readonly protocol: 'tls' | 'http'; readonly name?: string; readonly isUpgrade?: boolean }
  | { readonly protocol: 'other'; readonly reason: string };

export interface Beginning {
  readonly first: FirstBytes;
  /** What was read. */
  readonly bytes: Buffer;
}

/** @param known called once, when nobody owns the connection any more; with undefined where it ended before */
export function readBeginning(socket: LightSocket, known: (beginning: Beginning | undefined) => void): void {
  socket.owner = new BeginningReader(socket, known);
  socket.resume();
}

class BeginningReader implements SocketOwner {
  readonly #socket: LightSocket;
  /** Until it was called. */
  #known: ((beginning: Beginning | undefined) => void) | undefined;
  readonly #timer: NodeJS.Timeout;
  #bytes = NOTHING;
  #chunks = 0;

  constructor(socket: LightSocket, known: (beginning: Beginning | undefined) => void) {
    this.#socket = socket;
    this.#known = known;
    this.#timer = setTimeout(() => this.#finish({ protocol: 'other', reason: 'it names no host' }), FIRST_BYTES_MS);
  }

  onData(length: number, buffer: Buffer): void {
    this.#chunks++;
    const chunk = Buffer.from(buffer.subarray(0, length));
    this.#bytes = this.#bytes.length === 0 ? chunk : Buffer.concat([this.#bytes, chunk]);
    const result = inspect(this.#bytes);
    if (result !== undefined) this.#finish(result);
    else if (this.#bytes.length >= MAX_HEAD || this.#chunks >= MAX_CHUNKS)
      this.#finish({ protocol: 'other', reason: 'the first message is too long' });
  }

  onEnd(): void {
    this.#finish(undefined);
  }

  onClose(): void {
    this.#finish(undefined);
  }

  onDrain(): void {}

  #finish(first: FirstBytes | undefined): void {
    clearTimeout(this.#timer);
    if (this.#socket.owner === this) this.#socket.owner = undefined;
    const known = this.#known;
    this.#known = undefined;
    known?.(first && { first, bytes: this.#bytes });
  }
}

/** Undefined when more bytes are needed. */
export function inspect(bytes: Buffer): FirstBytes | undefined {
  if (looksLikeTls(bytes)) {
    const hello = readClientHello(bytes);
    if (hello.kind === 'incomplete') return undefined;
    if (hello.kind === 'malformed') return { protocol: 'other', reason: 'the TLS hello cannot be read' };
    return named('tls', hello.serverName);
  }
  const end = head.read(bytes, 0, bytes.length);
  if (end === Parse.incomplete) return undefined;
  if (end < 1) return { protocol: 'other', reason: 'it names no host' };
  return { ...named('http', head.host.replace(/:\d{1,5}$/, '')), ...(head.isUpgrade && { isUpgrade: true }) };
}

function named(protocol: 'tls' | 'http', text: string | undefined): FirstBytes {
  const name = text === undefined ? undefined : readHostName(text);
  return name === undefined ? { protocol } : { protocol, name };
}
