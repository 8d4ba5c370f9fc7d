// What of Node's own TCP handles, below `node:net`, the gateway uses. They are reached by `process.binding`, which may go one
// day; without them everything runs on the sockets of `node:net`.

import type { Server } from 'node:net';

/** Of a connection that was accepted. Methods return 0, or a negative error number. */
export interface TcpHandle {
  /** Called for every read; what it returns is the buffer for the next one. */
  onread: (this: TcpHandle) => Buffer | undefined;
  readonly bytesRead: number;
  readonly bytesWritten: number;
  useUserBuffer(buffer: Buffer): void;
  readStart(): number;
  readStop(): number;
  writeBuffer(request: WriteRequest, data: Buffer): number;
  shutdown(request: ShutdownRequest): number;
  close(closed?: (this: TcpHandle) => void): void;
  reset(closed?: (this: TcpHandle) => void): number;
  getpeername(out: { address?: string }): number;
}

/** A write that is not done at once keeps its request; another one's can be used again. */
export interface WriteRequest {
  oncomplete?: (this: WriteRequest, status: number) => void;
}

export interface ShutdownRequest {
  oncomplete?: (this: ShutdownRequest, status: number) => void;
}

interface ListeningHandle {
  onconnection: (error: number, handle: TcpHandle) => void;
  setNoDelay(on: boolean): number;
  setKeepAlive(on: boolean, seconds: number): number;
}

interface StreamWrap {
  readonly WriteWrap: new () => WriteRequest;
  readonly ShutdownWrap: new () => ShutdownRequest;
  /** What the last read or write came to, at the positions that the other fields name. */
  readonly streamBaseState: Int32Array;
  readonly kReadBytesOrError: number;
  readonly kBytesWritten: number;
  readonly kLastWriteWasAsync: number;
}

/** undefined where this Node has no such thing. */
export const streamWrap = findStreamWrap();

function findStreamWrap(): StreamWrap | undefined {
  try {
    const { binding } = process as unknown as { binding?: (name: string) => Partial<StreamWrap> };
    const found = binding?.('stream_wrap');
    if (found === undefined) return undefined;
    const { WriteWrap, ShutdownWrap, streamBaseState } = found;
    const positions = [found.kReadBytesOrError, found.kBytesWritten, found.kLastWriteWasAsync];
    const known = typeof WriteWrap === 'function' && typeof ShutdownWrap === 'function';
    if (!known || !(streamBaseState instanceof Int32Array)) return undefined;
    return positions.every((position) => Number.isInteger(position)) ? (found as StreamWrap) : undefined;
  } catch {
    return undefined;
  }
}

const METHODS = ['useUserBuffer', 'readStart', 'readStop', 'writeBuffer', 'shutdown', 'close', 'reset', 'getpeername'];

/**
 * Has a listening server hand over connections as they are. They inherit from it (tcp(7)) that small writes are not
 * held back and that the kernel probes for the peer, so that no connection has to be told.
 *
 * @param accept takes the handle of a connection
 * @returns false where that cannot be: the server goes on emitting `connection`
 */
export function takeConnections(server: Server, probeMs: number, accept: (handle: TcpHandle) => void): boolean {
  const { _handle: listening } = server as unknown as { _handle?: Partial<ListeningHandle> };
  if (streamWrap === undefined || typeof listening?.onconnection !== 'function') return false;
  const prototype: object | undefined = Object.getPrototypeOf(listening);
  if (!METHODS.every((name) => typeof Reflect.get(prototype ?? {}, name) === 'function')) return false;
  const inherited = listening.setNoDelay?.(true) === 0 && listening.setKeepAlive?.(true, probeMs / 1000) === 0;
  if (!inherited) return false;
  listening.onconnection = (error, handle) => {
    // A worker out of file descriptors goes on with the connections that it has.
    if (error === 0 || error === undefined) accept(handle);
  };
  return true;
}
