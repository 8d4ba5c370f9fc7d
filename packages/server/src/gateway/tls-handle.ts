// What of Node's own TLS, below `node:tls`, the gateway uses: OpenSSL between a handle of a connection and who reads and
// writes. Reached as `tcp-handle.ts` reaches the other names; without it TLS runs on the sockets of `node:tls`.

import type { SecureContext } from 'node:tls';
import { type ShutdownRequest, streamWrap, type TcpHandle, type WriteRequest } from './tcp-handle.ts';

/** Reads and writes what is said in TLS. Methods return 0, or a negative error number. */
export interface TlsHandle {
  /** Called for every read; what it returns is the buffer for the next one. */
  onread: (this: TlsHandle) => Buffer | undefined;
  /** The connection is of no use any more. */
  onerror: (this: TlsHandle, error: Error) => void;
  /** Called by OpenSSL, which must not be taken down then. */
  onhandshakedone: (this: TlsHandle) => void;
  /** Bytes in TLS that have not left. */
  readonly writeQueueSize: number;
  useUserBuffer(buffer: Buffer): void;
  readStart(): number;
  readStop(): number;
  /** Takes bytes as if they had come from the connection. */
  receive(data: Buffer): void;
  /** Takes its bytes before it returns. One write at a time: Node ends the process over a second one. */
  writeBuffer(request: WriteRequest, data: Buffer): number;
  writev(request: WriteRequest, data: readonly Buffer[], areBuffers: true): number;
  shutdown(request: ShutdownRequest): number;
  /** Protocols in the form that they have in the handshake (RFC 7301, section 3.1). */
  setALPNProtocols(protocols: Buffer): void;
  getALPNNegotiatedProtocol(): string | false;
  destroySSL(): void;
}

type Wrap = (handle: TcpHandle, context: object, isServer: boolean, hasActiveWrite: boolean) => TlsHandle;

const METHODS = [
  ...['useUserBuffer', 'readStart', 'readStop', 'receive', 'writeBuffer', 'writev', 'shutdown'],
  ...['setALPNProtocols', 'getALPNNegotiatedProtocol', 'destroySSL'],
];

/** Node checks arguments from C++ and ends the process over wrong ones, so that only a version that is known is used. */
const KNOWN_MAJOR = '24.';

const wrap = findWrap();

/** Whether this Node has what `wrapTls` needs. */
export const hasTlsHandles = wrap !== undefined;

function findWrap(): Wrap | undefined {
  if (streamWrap === undefined || !process.versions.node.startsWith(KNOWN_MAJOR)) return undefined;
  try {
    const { binding } = process as unknown as {
      binding(name: string): { wrap?: Wrap; TLSWrap?: { prototype: object } };
    };
    const found = binding('tls_wrap');
    const prototype = found.TLSWrap?.prototype ?? {};
    const known = METHODS.every((name) => typeof Reflect.get(prototype, name) === 'function');
    return known && 'writeQueueSize' in prototype && typeof found.wrap === 'function' ? found.wrap : undefined;
  } catch {
    return undefined;
  }
}

/** Puts the server's side of TLS on a connection of which nothing has been written. */
export function wrapTls(handle: TcpHandle, { context }: SecureContext): TlsHandle {
  const wrapped = wrap!(handle, context as object, true, false);
  // By this name `TLSWrap` finds what is below it, when it is asked for addresses.
  return Object.assign(wrapped, { _parent: handle });
}
