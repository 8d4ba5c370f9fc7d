// An accepted TCP connection on Node's own handle, without the stream, the events and the closures of a `net.Socket`: for
// HTTP/1.1 those cost more than the work, and for an idle connection more memory than all the rest. What a `ClientConnection`
// uses of a socket has the same name and meaning here.

import { Socket, type SocketConstructorOpts } from 'node:net';
import { constants } from 'node:os';
import { limits } from './limits.ts';
import { sharedBuffer } from './read-buffers.ts';
import type { Reader } from './read-into.ts';
import { type ShutdownRequest, streamWrap, type TcpHandle, type WriteRequest } from './tcp-handle.ts';

/** What happens on a connection. */
export interface StreamOwner extends Reader {
  /** What was written has left, after a write that said to wait for it. */
  onDrain(): void;
  /** The peer has sent its last byte. */
  onEnd(): void;
  /** The connection is gone, whoever ended it. The last call. */
  onClose(): void;
}

/** What accepted a connection. */
export interface Acceptor {
  /** Bytes of all its connections. */
  readonly traffic: { received: number; sent: number };
  /** That connections arrive at. */
  readonly port: number;
  /** The connection is gone, or is a socket from here on. */
  released(stream: TcpStream): void;
}

const { WriteWrap, ShutdownWrap, streamBaseState, kReadBytesOrError, kBytesWritten, kLastWriteWasAsync } =
  streamWrap ?? ({} as NonNullable<typeof streamWrap>);

const STREAM = Symbol('stream');
// What the handle calls, and nobody else.
const read = Symbol('read');
const wrote = Symbol('wrote');
const shutdown = Symbol('shutdown');
const closed = Symbol('closed');
const UV_EOF = -4095;
const UV_ENOTCONN = -constants.errno.ENOTCONN;
/** Of a shutdown that was done at once. */
const DONE = 1;

interface OwnedHandle extends TcpHandle {
  [STREAM]: TcpStream;
}

interface PendingWrite extends WriteRequest {
  stream: TcpStream;
  /** Keeps the bytes until they have left. */
  data: Buffer;
  bytes: number;
  written: (() => void) | undefined;
}

/** A write that is done at once leaves its request as it was, which is most of them. */
let spareWrite: WriteRequest | undefined;

export class TcpStream {
  /** Takes what happens; set before anything can. */
  owner!: StreamOwner;
  destroyed = false;
  /** Bytes that are written and have not left the process. */
  writableLength = 0;
  /** The address that the connection counts for, where connections are counted. */
  countedFor: string | undefined;
  readonly #acceptor: Acceptor;
  readonly #handle: OwnedHandle;
  #buffer: Buffer = sharedBuffer;
  #reading = false;
  #needsDrain = false;
  #received = false;
  #ending = false;
  #finished = false;
  #isLent = false;

  constructor(handle: TcpHandle, acceptor: Acceptor) {
    this.#acceptor = acceptor;
    this.#handle = handle as OwnedHandle;
    this.#handle[STREAM] = this;
    this.#handle.onread = onRead;
    handle.useUserBuffer(sharedBuffer);
  }

  get remoteAddress(): string | undefined {
    const out: { address?: string } = {};
    this.#handle.getpeername(out);
    return out.address;
  }

  get localPort(): number {
    return this.#acceptor.port;
  }

  /** Of a handle that is lent; those of others are in the acceptor's account already. */
  get bytesRead(): number {
    return this.#isLent ? this.#handle.bytesRead : 0;
  }

  get bytesWritten(): number {
    return this.#isLent ? this.#handle.bytesWritten : 0;
  }

  pause(): void {
    if (!this.#reading || this.destroyed) return;
    this.#reading = false;
    this.#handle.readStop();
  }

  resume(): void {
    if (this.#reading || this.destroyed || this.#received) return;
    this.#reading = true;
    if (this.#handle.readStart() !== 0) this.destroy();
  }

  /**
   * @param written called when `data` is no longer needed, which may be at once
   * @returns false when the writer is to wait for `onDrain`
   */
  write(data: Buffer, written?: () => void): boolean {
    if (this.destroyed || this.#ending) return false;
    const request = spareWrite ?? new WriteWrap();
    spareWrite = undefined;
    if (this.#handle.writeBuffer(request, data) !== 0) {
      this.destroy();
      return false;
    }
    const bytes = streamBaseState[kBytesWritten]!;
    this.#acceptor.traffic.sent += bytes;
    if (streamBaseState[kLastWriteWasAsync] === 0) {
      spareWrite = request;
      written?.();
      return true;
    }
    Object.assign(request, { oncomplete: onWritten, stream: this, data, bytes, written } satisfies PendingWrite);
    this.writableLength += bytes;
    this.#needsDrain ||= this.writableLength >= limits.writeBuffer;
    return !this.#needsDrain;
  }

  /**
   * Sends what was written and then that nothing more comes.
   *
   * @param through what has been put on the lent handle, and has to say so first
   */
  end(through: Pick<TcpHandle, 'shutdown'> = this.#handle): void {
    if (this.destroyed || this.#ending) return;
    this.#ending = true;
    const request: ShutdownRequest & { stream?: TcpStream } = new ShutdownWrap();
    request.stream = this;
    request.oncomplete = onShutdown as (this: ShutdownRequest) => void;
    const result = through.shutdown(request);
    if (result === DONE || result === UV_ENOTCONN) this[shutdown]();
    else if (result !== 0) this.destroy();
  }

  destroy(): void {
    if (this.destroyed) return;
    this.destroyed = true;
    this.#handle.close(onClosed);
  }

  resetAndDestroy(): void {
    // libuv refuses to reset what is being shut down, and Node would then never close it.
    if (this.#ending) {
      this.destroy();
      return;
    }
    if (this.destroyed) return;
    this.destroyed = true;
    this.#handle.reset(onClosed);
  }

  /**
   * Lends the handle to what reads and writes on top of it from here on. Its end stays the affair of the stream, which tells
   * `borrower` of it.
   */
  lend(borrower: StreamOwner): TcpHandle {
    this.owner = borrower;
    this.#isLent = true;
    this.#acceptor.traffic.received -= this.#handle.bytesRead;
    return this.#handle;
  }

  /** The peer has sent its last byte, by the word of what is on the handle. */
  ended(): void {
    this.#received = true;
    this.owner.onEnd();
    if (this.#finished) this.destroy();
  }

  /** Goes on as a socket of `node:net`, paused, with `first` back in it. */
  toSocket(first: Buffer): Socket {
    const handle = this.#handle;
    this.#acceptor.traffic.received -= handle.bytesRead;
    this.#acceptor.released(this);
    // The handle reads into a given buffer for good. A TLS or HTTP/2 session on top of it has its own.
    const options: Omit<SocketConstructorOpts, 'handle'> & { handle: TcpHandle; pauseOnCreate: true } = {
      handle,
      allowHalfOpen: true,
      pauseOnCreate: true,
      onread: { buffer: sharedBuffer, callback: () => true },
    };
    const socket = new Socket(options as object);
    socket.unshift(first);
    return socket;
  }

  [read](): Buffer | undefined {
    const length = streamBaseState[kReadBytesOrError]!;
    if (length === 0 || this.destroyed) return undefined;
    if (length > 0) {
      this.#acceptor.traffic.received += length;
      this.owner.read(length, this.#buffer);
      if (this.destroyed) return undefined;
      const next = this.owner.next();
      if (next !== undefined) this.#buffer = next;
      return next;
    }
    if (length !== UV_EOF) {
      this.destroy();
      return undefined;
    }
    this.ended();
    return undefined;
  }

  [wrote](bytes: number, status: number): void {
    this.writableLength -= bytes;
    if (this.destroyed) return;
    if (status < 0) {
      this.destroy();
    } else if (this.#needsDrain && this.writableLength === 0 && !this.#ending) {
      this.#needsDrain = false;
      this.owner.onDrain();
    }
  }

  [shutdown](): void {
    this.#finished = true;
    if (this.#received) this.destroy();
  }

  [closed](): void {
    this.#acceptor.traffic.received += this.bytesRead;
    this.#acceptor.traffic.sent += this.bytesWritten;
    this.#acceptor.released(this);
    this.owner.onClose();
  }
}

// Shared by all connections. Node calls them with the handle or the request as `this`.

function onRead(this: TcpHandle): Buffer | undefined {
  return (this as OwnedHandle)[STREAM][read]();
}

function onClosed(this: TcpHandle): void {
  (this as OwnedHandle)[STREAM][closed]();
}

function onWritten(this: WriteRequest, status: number): void {
  const { stream, bytes, written } = this as PendingWrite;
  written?.();
  stream[wrote](bytes, status);
}

function onShutdown(this: { readonly stream: TcpStream }): void {
  this.stream[shutdown]();
}
