// A TCP connection on Node's own handle, with what a relay uses of a `net.Socket` under the same names: making, driving and
// ending two of those costs more than all else that Node does for a relayed connection.
import { EventEmitter } from 'node:events';
import { closeSync } from 'node:fs';
import { type Server, Socket, type SocketConstructorOpts } from 'node:net';
import { getSystemErrorName } from 'node:util';
import { sharedBuffer } from '../gateway/read-buffers.ts';
import type { Reader } from '../gateway/read-into.ts';
import {
  type ShutdownRequest,
  type TcpHandle as StreamHandle,
  streamWrap,
  takeConnections,
  type WriteRequest,
} from '../gateway/tcp-handle.ts';
import { nativeSockets, openSocket } from './native-sockets.ts';
import type { RelaySocket } from './relay-socket.ts';

interface TcpHandle extends StreamHandle {
  readonly fd: number;
  open(fd: number): number;
  connect(request: ConnectRequest, address: string, port: number): number;
  setNoDelay(on: boolean): number;
  setKeepAlive(on: boolean, seconds: number): number;
}

interface ConnectRequest {
  oncomplete?: (status: number) => void;
}

interface TcpWrap {
  readonly TCP: new (type: number) => TcpHandle;
  readonly TCPConnectWrap: new () => ConnectRequest;
  readonly constants: { readonly SOCKET: number };
}

interface OwnedHandle extends TcpHandle {
  [SOCKET]: LightSocket;
}

interface PendingWrite extends WriteRequest {
  socket: LightSocket;
  /** Keeps the bytes until they have left. */
  data: Buffer;
  bytes: number;
  written: (() => void) | undefined;
}

const SOCKET = Symbol('socket');
// What the handle calls, and nobody else.
const read = Symbol('read');
const wrote = Symbol('wrote');
const shut = Symbol('shut');
const UV_EOF = -4095;
/** sys/socket.h */
const SHUT_WR = 1;
/** More is not written before this much has left. */
const WRITE_BUFFER = 65_536;
/** How long a silent peer is waited for before the kernel asks for it. */
const PROBE_MS = 600_000;
/** For what has arrived to be read when nothing can be written any more; whoever is to have it may be slow. */
const DEAF_MS = 60_000;

const { WriteWrap, ShutdownWrap, streamBaseState, kReadBytesOrError, kBytesWritten, kLastWriteWasAsync } =
  streamWrap ?? ({} as NonNullable<typeof streamWrap>);
const tcpWrap = findTcpWrap();

function findTcpWrap(): TcpWrap | undefined {
  try {
    const { binding } = process as unknown as { binding?: (name: string) => Partial<TcpWrap> };
    const found = binding?.('tcp_wrap');
    const known = typeof found?.TCP === 'function' && typeof found.TCPConnectWrap === 'function';
    return known && Number.isInteger(found.constants?.SOCKET) ? (found as TcpWrap) : undefined;
  } catch {
    return undefined;
  }
}

/** @returns false where this Node has no such handles: the server goes on emitting `connection` */
export function takeLightSockets(server: Server, accept: (socket: LightSocket) => void): boolean {
  if (tcpWrap === undefined) return false;
  return takeConnections(server, PROBE_MS, (handle) => accept(new LightSocket(handle as TcpHandle)));
}

/** @param status a negative error number */
function reason(status: number): string {
  return `connect ${getSystemErrorName(status)}`;
}

/**
 * The last part of the handshake leaves with the first bytes: one packet less, and a server that wakes once in place of
 * twice. A server that speaks first would wait for it.
 */
function saveHandshakeAck(handle: TcpHandle): void {
  const fd = openSocket();
  // Connecting then opens one as ever, or says why there is none.
  if (fd >= 0 && handle.open(fd) !== 0) closeSync(fd);
}

/** A write that is done at once leaves its request as it was, which is most of them. */
let spareWrite: WriteRequest | undefined;

export class LightSocket extends EventEmitter implements RelaySocket {
  destroyed = false;
  readableEnded = false;
  writableLength = 0;
  writableNeedDrain = false;
  readonly #handle: OwnedHandle;
  #reader: Reader | undefined;
  #buffer: Buffer = sharedBuffer;
  /** Whether the handle reads. */
  #reading = false;
  #flowing = false;
  /** What came while nobody wanted it. */
  #held: Buffer | undefined;
  #received = false;
  #ending = false;
  #finished = false;
  #isDeaf = false;
  #deafTimer: NodeJS.Timeout | undefined;
  /** Of one that was dialled: until it is old enough to be probed. */
  #youth: NodeJS.Timeout | undefined;
  /** Whether the kernel may hold a small write back while another is under way. */
  #holdsBack: boolean;
  #hasWritten = false;

  /** @param youth set for one that inherits nothing from a listener; whoever sets it calls `probe` when it is over */
  constructor(handle: TcpHandle, youth?: NodeJS.Timeout) {
    super();
    this.#youth = youth;
    this.#holdsBack = youth !== undefined;
    this.#handle = handle as OwnedHandle;
    this.#handle[SOCKET] = this;
    this.#handle.onread = onRead;
    handle.useUserBuffer(sharedBuffer);
  }

  /**
   * Connects to an IPv4 address. Rejects when there is no connection, or none in time. Most connections are over before
   * they need to be probed, and after one write: what costs the kernel five calls is put off until then.
   *
   * @param speaksFirst whether something is written as soon as there is a connection
   */
  static dial(
    address: string,
    port: number,
    { timeoutMs, speaksFirst }: { readonly timeoutMs: number; readonly speaksFirst: boolean },
  ): Promise<LightSocket> {
    const { TCP, TCPConnectWrap, constants } = tcpWrap!;
    return new Promise((resolve, reject) => {
      const handle = new TCP(constants.SOCKET);
      let socket: LightSocket | undefined;
      let hasFailed = false;
      const fail = (message: string): void => {
        hasFailed = true;
        clearTimeout(timer);
        handle.close();
        reject(new Error(message));
      };
      const timer = setTimeout(() => {
        if (socket === undefined) fail('the host did not answer in time');
        else socket.#probe();
      }, timeoutMs);
      const request = new TCPConnectWrap();
      request.oncomplete = (status) => {
        if (hasFailed) return;
        if (status !== 0) return fail(reason(status));
        socket = new LightSocket(handle, timer);
        resolve(socket);
      };
      if (speaksFirst) saveHandshakeAck(handle);
      const result = handle.connect(request, address, port);
      if (result !== 0) fail(reason(result));
    });
  }

  /** From now on the kernel asks for a peer that is silent. */
  #probe(): void {
    if (!this.destroyed) this.#handle.setKeepAlive(true, PROBE_MS / 1000);
  }

  /** Small writes leave at once from now on, also those that others make to the descriptor. */
  holdNothingBack(): void {
    if (!this.#holdsBack || this.destroyed) return;
    this.#holdsBack = false;
    this.#handle.setNoDelay(true);
  }

  /** Negative when it has none any more. */
  get fd(): number {
    return this.#handle.fd;
  }

  get remoteAddress(): string | undefined {
    const out: { address?: string } = {};
    this.#handle.getpeername(out);
    return out.address;
  }

  /** From now on what is read goes to `reader`, and not to listeners of `data`. */
  readInto(first: Buffer, reader: Reader): void {
    this.#reader = reader;
    if (first === this.#buffer) return;
    this.#buffer = first;
    this.#handle.useUserBuffer(first);
  }

  pause(): void {
    this.#flowing = false;
    // Into a reader's buffer nothing may be read. Else one read more is held, as most who pause go on before it comes.
    if (this.#reader !== undefined) this.#stop();
  }

  resume(): void {
    if (this.#flowing || this.destroyed || this.readableEnded) return;
    this.#flowing = true;
    const held = this.#held;
    this.#held = undefined;
    const next = held === undefined ? undefined : this.#deliver(held, held.length);
    if (next !== undefined) this.#handle.useUserBuffer(next);
    if (!this.#flowing || this.destroyed) return;
    if (this.#received) {
      this.#end();
    } else if (!this.#reading) {
      this.#reading = true;
      if (this.#handle.readStart() !== 0) this.destroy();
    }
  }

  write(data: Buffer | string, written?: () => void): boolean {
    if (this.destroyed || this.#ending || this.#isDeaf) {
      written?.();
      return true;
    }
    // The first is not held back, as nothing is under way.
    if (this.#hasWritten) this.holdNothingBack();
    this.#hasWritten = true;
    const bytes = typeof data === 'string' ? Buffer.from(data) : data;
    const request = spareWrite ?? new WriteWrap();
    spareWrite = undefined;
    if (this.#handle.writeBuffer(request, bytes) !== 0) {
      this.#deafen();
      written?.();
      return true;
    }
    if (streamBaseState[kLastWriteWasAsync] === 0) {
      spareWrite = request;
      written?.();
      return true;
    }
    const pending = { socket: this, data: bytes, bytes: streamBaseState[kBytesWritten]!, written };
    Object.assign(request, { ...pending, oncomplete: onWritten } satisfies PendingWrite);
    this.writableLength += pending.bytes;
    this.writableNeedDrain ||= this.writableLength >= WRITE_BUFFER;
    return !this.writableNeedDrain;
  }

  end(): void {
    if (this.destroyed || this.#ending) return;
    this.#ending = true;
    // Closing says it too, where nothing more is to be read.
    if (this.readableEnded && this.writableLength === 0) this.destroy();
    else if (this.#isDeaf) this[shut]();
    else this.#shutDown();
  }

  #shutDown(): void {
    // With nothing before it, it is one call to the kernel; a request costs more, and an event when it is done.
    if (this.writableLength === 0) {
      nativeSockets().shutdown(this.fd, SHUT_WR);
      this[shut]();
      return;
    }
    const request: ShutdownRequest & { socket?: LightSocket } = new ShutdownWrap();
    request.socket = this;
    request.oncomplete = onShutdown as (this: ShutdownRequest) => void;
    if (this.#handle.shutdown(request) !== 0) this[shut]();
  }

  destroy(): void {
    if (this.destroyed) return;
    this.#die();
    this.#handle.close();
  }

  resetAndDestroy(): void {
    if (this.destroyed) return;
    this.#die();
    // libuv refuses to reset what is being shut down, and Node would then never close it.
    if (this.#ending && !this.#finished) this.#handle.close();
    else this.#handle.reset();
  }

  /**
   * Goes on as a socket of `node:net`, paused, with `first` and what is held back in it.
   *
   * @throws Error when it is destroyed: TLS on top of a handle that is closed would end the process
   */
  toSocket(first: Buffer): Socket {
    if (this.destroyed) throw new Error('the connection is closed');
    this.#stop();
    // The handle is the socket's from here on.
    this.destroyed = true;
    const options: Omit<SocketConstructorOpts, 'handle'> & { handle: TcpHandle; pauseOnCreate: true } = {
      handle: this.#handle,
      allowHalfOpen: true,
      pauseOnCreate: true,
      // The handle reads into a given buffer for good. What reads from the handle itself, as TLS does, has its own.
      onread: {
        buffer: sharedBuffer,
        callback: (length: number, buffer: Uint8Array) => socket.push(Buffer.from(buffer.subarray(0, length))),
      },
    };
    const socket = new Socket(options as object);
    const bytes = this.#held === undefined ? first : Buffer.concat([first, this.#held]);
    if (bytes.length > 0) socket.unshift(bytes);
    return socket;
  }

  [read](): Buffer | undefined {
    const length = streamBaseState[kReadBytesOrError]!;
    if (length === 0 || this.destroyed) return undefined;
    if (length > 0) {
      if (this.#flowing) return this.#deliver(this.#buffer, length);
      this.#stop();
      this.#held = Buffer.from(this.#buffer.subarray(0, length));
    } else if (length === UV_EOF) {
      this.#received = true;
      if (this.#flowing) this.#end();
    } else {
      this.destroy();
    }
    return undefined;
  }

  /** @returns the buffer for the next read; undefined: the same as before */
  #deliver(buffer: Buffer, length: number): Buffer | undefined {
    if (this.#reader === undefined) {
      this.emit('data', Buffer.from(buffer.subarray(0, length)));
      return undefined;
    }
    this.#reader.read(length, buffer);
    if (this.destroyed) return undefined;
    const next = this.#reader.next();
    if (next !== undefined) this.#buffer = next;
    return next;
  }

  #end(): void {
    this.readableEnded = true;
    this.emit('end');
    if (this.#finished) this.destroy();
  }

  #stop(): void {
    if (!this.#reading || this.destroyed) return;
    this.#reading = false;
    this.#handle.readStop();
  }

  /**
   * What cannot be written is dropped from now on, and the connection ends as its reading does: a server may answer and
   * hang up while its client still sends.
   */
  #deafen(): void {
    if (this.#isDeaf) return;
    this.#isDeaf = true;
    this.#deafTimer = setTimeout(() => this.destroy(), DEAF_MS);
    this.writableLength = 0;
    this.#drain();
  }

  #drain(): void {
    if (!this.writableNeedDrain || this.writableLength > 0 || this.#ending) return;
    this.writableNeedDrain = false;
    this.emit('drain');
  }

  #die(): void {
    this.destroyed = true;
    this.writableLength = 0;
    clearTimeout(this.#deafTimer);
    clearTimeout(this.#youth);
    // The kernel's part is over with the call that follows; to be told so by the handle costs an event.
    queueMicrotask(() => this.emit('close'));
  }

  [wrote](bytes: number, status: number): void {
    if (this.destroyed || this.#isDeaf) return;
    if (status < 0) {
      this.#deafen();
      return;
    }
    this.writableLength -= bytes;
    this.#drain();
  }

  [shut](): void {
    this.#finished = true;
    if (this.readableEnded) this.destroy();
  }
}

// Shared by all connections. Node calls them with the handle or the request as `this`.

function onRead(this: StreamHandle): Buffer | undefined {
  return (this as OwnedHandle)[SOCKET][read]();
}

function onWritten(this: WriteRequest, status: number): void {
  const { socket, bytes, written } = this as PendingWrite;
  written?.();
  socket[wrote](bytes, status);
}

function onShutdown(this: { readonly socket: LightSocket }): void {
  this.socket[shut]();
}
