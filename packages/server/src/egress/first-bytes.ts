// Reads from a new connection as much as it takes to know which host it names, and puts the bytes back.
import type { Socket } from 'node:net';
import { Parse } from '../gateway/http1/field-table.ts';
import { RequestHead } from '../gateway/http1/request-head.ts';
import { looksLikeTls, MAX_CLIENT_HELLO, readClientHello } from './client-hello.ts';
import { readHostName } from './domain-pattern.ts';

/** From the connection to its last byte of a TLS hello or request head. */
const FIRST_BYTES_MS = 10_000;
const MAX_HEAD = MAX_CLIENT_HELLO + 5 * 16;
/** Each is looked at with all before it: a head in single bytes would keep the process busy. */
const MAX_CHUNKS = 100;

export type FirstBytes =
  /** `name` is absent where none is given, or an address. */
  | { readonly protocol: 'tls' | 'http'; readonly name?: string; readonly isUpgrade?: boolean }
  | { readonly protocol: 'other'; readonly reason: string };

/** Undefined when the connection ended before. The socket is paused and has its bytes again. */
export function readFirstBytes(socket: Socket): Promise<FirstBytes | undefined> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    let length = 0;
    const finish = (result: FirstBytes | undefined): void => {
      clearTimeout(timer);
      socket.off('data', onData).off('end', onEnd).off('close', onEnd);
      socket.pause();
      if (chunks.length > 0) socket.unshift(Buffer.concat(chunks));
      resolve(result);
    };
    const onEnd = (): void => finish(undefined);
    const onData = (chunk: Buffer): void => {
      chunks.push(chunk);
      length += chunk.length;
      const result = inspect(chunks.length === 1 ? chunk : Buffer.concat(chunks));
      if (result !== undefined) finish(result);
      else if (length >= MAX_HEAD || chunks.length >= MAX_CHUNKS)
        finish({ protocol: 'other', reason: 'the first message is too long' });
    };
    const timer = setTimeout(() => finish({ protocol: 'other', reason: 'it names no host' }), FIRST_BYTES_MS);
    socket.on('data', onData).on('end', onEnd).on('close', onEnd);
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
  const head = new RequestHead();
  const end = head.read(bytes, 0, bytes.length);
  if (end === Parse.incomplete) return undefined;
  if (end < 1) return { protocol: 'other', reason: 'it names no host' };
  return { ...named('http', head.host.replace(/:\d{1,5}$/, '')), ...(head.isUpgrade && { isUpgrade: true }) };
}

function named(protocol: 'tls' | 'http', text: string | undefined): FirstBytes {
  const name = text === undefined ? undefined : readHostName(text);
  return name === undefined ? { protocol } : { protocol, name };
}
