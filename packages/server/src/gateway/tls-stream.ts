// A client's connection that speaks TLS, on Node's own handles, as `TcpStream` is without TLS: what a `ClientConnection` uses of a
// socket has the same name and meaning here. HTTP/2 goes on as a socket of `node:net`.

import { Socket } from 'node:net';
import type { SecureContext } from 'node:tls';
import { limits } from './limits.ts';
import { sharedBuffer } from './read-buffers.ts';
import type { Expiring, Sweep } from './sweep.ts';
import { streamWrap, type WriteRequest } from './tcp-handle.ts';
import type { StreamOwner, TcpStream } from './tcp-stream.ts';
import { type TlsHandle, wrapTls } from './tls-handle.ts';

/** What handshakes are made with, and who hears of those that succeed. */
export interface TlsAcceptor {
  readonly sweep: Sweep;
  readonly context: SecureContext;
  /** Milliseconds that a handshake may take. */
  readonly handshakeTimeout: number;
  /** Sets the stream's owner, or has it go on as a socket. */
  secured(stream: TlsStream, tcp: TcpStream): void;
}

const { WriteWrap, streamBaseState, kReadBytesOrError } = streamWrap ?? ({} as NonNullable<typeof streamWrap>);

const STREAM = Symbol('stream');
// What the handle calls, and nobody else.
const read = Symbol('read');
const wrote = Symbol('wrote');
const shaken = Symbol('shaken');
const failed = Symbol('failed');
const close = Symbol('close');
const UV_EOF = -4095;

const PROTOCOLS = Buffer.from('\x02h2\x08http/1.1');

interface OwnedHandle extends TlsHandle {
  [STREAM]: TlsStream;
}

interface PendingWrite extends WriteRequest {
  stream: TlsStream;
}

type Written = (() => void) | undefined;

export class TlsStream implements StreamOwner, Expiring {
  /** Takes what happens once the handshake is done. */
  owner!: StreamOwner;
  /** Of the handshake, and then of the next look at what waits. */
  deadline: number;
  /** Bytes that are written and have not left the process. */
  writableLength = 0;
  readonly #tcp: TcpStream;
  readonly #acceptor: TlsAcceptor;
  readonly #handle: OwnedHandle;
  #isSecure = false;
  #reading = true;
  #needsDrain = false;
  #ending = false;
  #closed = false;
  /** Of the write that is on its way, of which there is one at most; 0: none. */
  #bytes = 0;
  #written: Written;
  /** Writes behind it, each with what to call when it is done. */
  #waiting: { readonly data: Buffer[]; readonly written: Written[] } | undefined;
  /** Goes on with the connection in the stream's place. */
  #socket: Socket | undefined;
  #socketClosed: (() => void) | undefined;

  /**
   * @param tcp reads, and has read `first`
   * @param first what the client began with, valid during the call only
   */
  constructor(tcp: TcpStream, first: Buffer, acceptor: TlsAcceptor) {
    this.#tcp = tcp;
    this.#acceptor = acceptor;
    const handle = wrapTls(tcp.lend(this), acceptor.context) as OwnedHandle;
    this.#handle = handle;
    handle[STREAM] = this;
    handle.onread = onRead;
    handle.onerror = onError;
    handle.onhandshakedone = onHandshakeDone;
    handle.useUserBuffer(sharedBuffer);
    handle.setALPNProtocols(PROTOCOLS);
    this.deadline = acceptor.sweep.now + acceptor.handshakeTimeout;
    acceptor.sweep.add(this);
    handle.receive(first);
  }

  get destroyed(): boolean {
    return this.#tcp.destroyed;
  }

  /** What the handshake agreed on. */
  get alpnProtocol(): string | false {
    return this.#handle.getALPNNegotiatedProtocol();
  }

  /** Whether bytes that were written are still needed: those of a write that is on its way are not, they are encrypted. */
  get holdsBytes(): boolean {
    return this.#waiting !== undefined;
  }

  pause(): void {
    if (!this.#reading || this.destroyed) return;
    this.#reading = false;
    this.#handle.readStop();
  }

  resume(): void {
    if (this.#reading || this.destroyed) return;
    this.#reading = true;
    if (this.#handle.readStart() !== 0) this.destroy();
  }

  /**
   * @param written called when `data` has left
   * @returns false when the writer is to wait for `onDrain`
   */
  write(data: Buffer, written?: () => void): boolean {
    if (this.destroyed || this.#ending) return false;
    if (data.length === 0) {
      written?.();
      return true;
    }
    this.writableLength += data.length;
    if (this.#bytes === 0) {
      this.#written = written;
      const request = this.#request(data.length);
      if (this.#handle.writeBuffer(request, data) !== 0) {
        this.destroy();
        return false;
      }
    } else {
      this.#waiting ??= { data: [], written: [] };
      this.#waiting.data.push(data);
      this.#waiting.written.push(written);
    }
    this.#needsDrain ||= this.writableLength >= limits.writeBuffer;
    return !this.#needsDrain;
  }

  #request(bytes: number): PendingWrite {
    const request = new WriteWrap() as PendingWrite;
    request.oncomplete = onWritten as (this: WriteRequest, status: number) => void;
    request.stream = this;
    this.#bytes = bytes;
    return request;
  }

  #writeWaiting({ data, written }: { readonly data: readonly Buffer[]; readonly written: readonly Written[] }): void {
    this.#waiting = undefined;
    this.#written = (): void => {
      for (const each of written) each?.();
    };
    const request = this.#request(this.writableLength);
    if (this.#handle.writev(request, data, true) !== 0) this.destroy();
  }

  /** Sends what was written and then that nothing more comes. */
  end(): void {
    if (this.destroyed || this.#ending) return;
    this.#ending = true;
    if (this.#bytes === 0) this.#tcp.end(this.#handle);
  }

  destroy(): void {
    this.#tcp.destroy();
  }

  /** Goes on as a socket of `node:net`. To be called while the handshake ends, before anything is read or written. */
  toSocket(): Socket {
    // What a socket looks for on its handle beside the methods.
    const handle = Object.assign(this.#handle, { reading: true, close: onSocketClose });
    // The session has its own buffer.
    const options = { handle, allowHalfOpen: true, manualStart: true };
    const onread = { buffer: sharedBuffer, callback: () => true };
    this.#socket = new Socket({ ...options, onread } as object);
    return Object.assign(this.#socket, { encrypted: true, alpnProtocol: this.alpnProtocol });
  }

  onDeadline(): void {
    const most = this.#socket === undefined ? this.writableLength + limits.tlsUnread : limits.sessionMemory;
    if (!this.#isSecure || this.#handle.writeQueueSize > most) this.destroy();
    else this.#lookAgain();
  }

  #lookAgain(): void {
    this.deadline = this.#acceptor.sweep.now + limits.tlsCheckInterval;
  }

  // --- From below. The connection itself is read and written by its handle.

  read(): void {}

  next(): undefined {}

  onDrain(): void {}

  onEnd(): void {
    if (this.#isSecure) this.owner.onEnd();
    else this.destroy();
  }

  onClose(): void {
    this.#closed = true;
    this.#acceptor.sweep.delete(this);
    this.#handle.destroySSL();
    if (this.#socket !== undefined) {
      if (this.#socketClosed === undefined) this.#socket.destroy();
      else this.#socketClosed();
    } else if (this.#isSecure) {
      this.owner.onClose();
    }
  }

  // --- From the handle

  [shaken](): void {
    if (this.#isSecure || this.destroyed) return;
    this.#isSecure = true;
    this.#lookAgain();
    this.#acceptor.secured(this, this.#tcp);
  }

  [read](): void {
    const length = streamBaseState[kReadBytesOrError]!;
    if (length === 0 || this.destroyed) return;
    if (length > 0 && this.#isSecure) this.owner.read(length, sharedBuffer);
    else if (length === UV_EOF) this.#tcp.ended();
    else this.destroy();
  }

  [wrote](status: number): void {
    this.writableLength -= this.#bytes;
    this.#bytes = 0;
    const written = this.#written;
    this.#written = undefined;
    if (status < 0) this.destroy();
    // Before anybody is told, who might write more: that comes after it.
    if (!this.destroyed && this.#waiting !== undefined) this.#writeWaiting(this.#waiting);
    written?.();
    if (this.destroyed || this.#bytes > 0) return;
    if (this.#ending) {
      this.#tcp.end(this.#handle);
    } else if (this.#needsDrain) {
      this.#needsDrain = false;
      this.owner.onDrain();
    }
  }

  [failed](): void {
    if (this.#socket === undefined) this.destroy();
    else this.#socket.destroy();
  }

  [close](closed: () => void): void {
    if (this.#closed) {
      process.nextTick(closed);
      return;
    }
    this.#socketClosed = closed;
    this.destroy();
  }
}

// Shared by all connections. Node calls them with the handle or the request as `this`.

/** Reading never leaves the shared buffer: a record (RFC 8446, section 5.1: 16 KiB) does not fill it. */
function onRead(this: TlsHandle): undefined {
  (this as OwnedHandle)[STREAM][read]();
}

function onError(this: TlsHandle): void {
  (this as OwnedHandle)[STREAM][failed]();
}

function onHandshakeDone(this: TlsHandle): void {
  (this as OwnedHandle)[STREAM][shaken]();
}

function onWritten(this: PendingWrite, status: number): void {
  this.stream[wrote](status);
}

function onSocketClose(this: OwnedHandle, closed: () => void): void {
  this[STREAM][close](closed);
}
