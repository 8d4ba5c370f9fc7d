// Reads from a new connection as much as it takes to know which host it names.
import { Parse } from '../gateway/http1/field-table.ts';
import { RequestHead } from '../gateway/http1/request-head.ts';
import { looksLikeTls, MAX_CLIENT_HELLO, readClientHello } from './client-hello.ts';
import { readHostName } from './domain-pattern.ts';
import type { RelaySocket } from './relay-socket.ts';

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

/** Undefined when the connection ended before. The socket is paused. */
export function readBeginning(socket: RelaySocket): Promise<Beginning | undefined> {
  return new Promise((resolve) => {
    let bytes: Buffer = NOTHING;
    let chunks = 0;
    const finish = (first: FirstBytes | undefined): void => {
      clearTimeout(timer);
      socket.off('data', onData);
      socket.off('end', onEnd);
      socket.off('close', onEnd);
      socket.pause();
      resolve(first && { first, bytes });
    };
    const onEnd = (): void => finish(undefined);
    const onData = (chunk: Buffer): void => {
      chunks++;
      bytes = bytes.length === 0 ? chunk : Buffer.concat([bytes, chunk]);
      const result = inspect(bytes);
      if (result !== undefined) finish(result);
      else if (bytes.length >= MAX_HEAD || chunks >= MAX_CHUNKS)
        finish({ protocol: 'other', reason: 'the first message is too long' });
    };
    const timer = setTimeout(() => finish({ protocol: 'other', reason: 'it names no host' }), FIRST_BYTES_MS);
    socket.on('data', onData);
    socket.on('end', onEnd);
    socket.on('close', onEnd);
    socket.resume();
  });
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
