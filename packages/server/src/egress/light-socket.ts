// A TCP connection on its descriptor. It does what a relay needs of a `net.Socket`, under the same names: making, driving
// and ending two of those would cost more than all else that is done for a relayed connection.
import { Socket } from 'node:net';
import { getSystemErrorName } from 'node:util';
import { sharedBuffer } from '../gateway/read-buffers.ts';
import {
  Errno,
  IPPROTO_TCP,
  lastError,
  nativeSockets,
  openSocket,
  SO_ERROR,
  SO_LINGER,
  SOCKADDR_IN_BYTES,
  SOL_SOCKET,
  setOption,
  TCP_NODELAY,
  TCP_QUICKACK,
  writeSocketAddress,
} from './native-sockets.ts';
import { Ready, sharedPoller, soon, type Watcher } from './poller.ts';
import { probeForPeer } from './probe.ts';

/** Whoever has a connection at the time, and is told of what happens to it. */
export interface SocketOwner {
  /** `buffer` holds what was read in its first `length` bytes, during the call only. */
  onData(length: number, buffer: Buffer): void;
  /** The other end sends no more. */
  onEnd(): void;
  /** Nothing is left to be written, where `write` said that there was much. */
  onDrain(): void;
  /** It is over, in order or not. */
  onClose(): void;
}

/** Told of a connection that was asked for, or why there is none. */
export type Dialled = (result: LightSocket | Error) => void;

interface PendingWrite {
  readonly data: Buffer;
  /** Of `data`, that have left. */
  sent: number;
  readonly written: (() => void) | undefined;
}

const INCOMING = Ready.read | Ready.readHangUp | Ready.urgent;
const BROKEN = Ready.hangUp | Ready.error;
const READABLE = INCOMING | BROKEN;
/** sys/socket.h */
const SHUT_WR = 1;
const MSG_NOSIGNAL = 0x4000;
const MSG_MORE = 0x8000;
/** More is not written before this much has left. */
const WRITE_BUFFER = 65_536;
/** Until others have their turn. */
const READS_AT_ONCE = 4;
/** For what has arrived to be read when nothing can be written any more; whoever is to have it may be slow. */
const DEAF_MS = 60_000;
/** `struct linger`: closing throws away what has not left, and resets the connection. */
const RESET = Int32Array.of(1, 0);
const peer = Buffer.alloc(SOCKADDR_IN_BYTES);

/** When whatever is under way with it is done. */
function tellOfEnd(owner: SocketOwner): void {
  soon(() => owner.onClose());
}

function systemError(call: string, code: number): Error {
  return new Error(`${call} ${getSystemErrorName(-code)}`);
}

export class LightSocket implements Watcher {
  destroyed = false;
  /** Whether the owner was told that the other end sends no more. */
  readableEnded = false;
  /** Bytes that are written and have not left the process. */
  writableLength = 0;
  writableNeedDrain = false;
  /** In dotted form; of one that was accepted. */
  readonly remoteAddress: string | undefined;
  #fd: number;
  /** Where to read next. */
  readBuffer: Buffer = sharedBuffer;
  #owner: SocketOwner | undefined;
  /** Whether there may be something to read. */
  #isReadable = false;
  /** Whether the kernel has the other end's last byte. */
  #isComplete = false;
  /** Whether a read may bring less than there is. */
  #isChoppy = false;
  #flowing = false;
  /** What came while nobody wanted it. */
  #held: Buffer | undefined;
  #received = false;
  #pending: PendingWrite[] = [];
  #waitsForRoom = false;
  #ending = false;
  #finished = false;
  #isDeaf = false;
  #deafTimer: NodeJS.Timeout | undefined;
  /** Of one that is being dialled. */
  #dialled: Dialled | undefined;
  /** Of one that was dialled: until it is old enough to be probed. */
  #youth: NodeJS.Timeout | undefined;
  /** Whether the kernel may hold a small write back while another is under way. */
  #holdsBack: boolean;
  #hasWritten = false;

  private constructor(fd: number, options: { readonly remoteAddress?: string; readonly holdsBack: boolean }) {
    this.#fd = fd;
    this.remoteAddress = options.remoteAddress;
    this.#holdsBack = options.holdsBack;
  }

  /** Takes over a descriptor that was accepted, and has from its listener how it holds back and probes. */
  static accepted(fd: number, remoteAddress: string): LightSocket {
    const socket = new LightSocket(fd, { remoteAddress, holdsBack: false });
    socket.#watch(INCOMING);
    return socket;
  }

  /**
   * Connects to an IPv4 address. Most connections are over before they need to be probed, and after one write: what costs
   * the kernel five calls is put off until then.
   *
   * @param speaksFirst whether something is written as soon as there is a connection
   * @param dialled called once, perhaps before this returns: with an error when there is no connection, or none in time
   * @throws Error when its descriptor cannot be watched; `dialled` is not called then
   */
  static dial(
    address: string,
    port: number,
    { timeoutMs, speaksFirst }: { readonly timeoutMs: number; readonly speaksFirst: boolean },
    dialled: Dialled,
  ): void {
    const fd = openSocket();
    if (fd < 0) {
      dialled(systemError('socket', lastError()));
      return;
    }
    // The last part of the handshake leaves with the first bytes: one packet less, and a server that wakes once in
    // place of twice. A server that speaks first would wait for it.
    if (speaksFirst) setOption(fd, IPPROTO_TCP, TCP_QUICKACK, 0);
    writeSocketAddress(peer, address, port);
    const result = nativeSockets().connect(fd, peer, SOCKADDR_IN_BYTES);
    const code = result === 0 ? 0 : lastError();
    if (code !== 0 && code !== Errno.inProgress) {
      nativeSockets().close(fd);
      dialled(systemError('connect', code));
      return;
    }
    const socket = new LightSocket(fd, { holdsBack: true });
    socket.#watch(INCOMING | Ready.write);
    socket.#waitsForRoom = true;
    socket.#youth = setTimeout(() => socket.#onAge(), timeoutMs);
    socket.#dialled = dialled;
  }

  #watch(events: number): void {
    try {
      sharedPoller().add(this.#fd, events, this);
    } catch (error) {
      this.destroy();
      throw error;
    }
  }

  /** From now on the kernel asks for a peer that is silent. */
  #onAge(): void {
    if (this.#dialled !== undefined) this.#onDialled(new Error('the host did not answer in time'));
    else if (!this.destroyed) probeForPeer(this.#fd);
  }

  #onDialled(error?: Error): void {
    const dialled = this.#dialled;
    this.#dialled = undefined;
    if (error !== undefined) this.destroy();
    dialled?.(error ?? this);
  }

  /** Small writes leave at once from now on, also those that others make to the descriptor. */
  holdNothingBack(): void {
    if (!this.#holdsBack || this.destroyed) return;
    this.#holdsBack = false;
    setOption(this.#fd, IPPROTO_TCP, TCP_NODELAY, 1);
  }

  /** Negative when it has none any more. */
  get fd(): number {
    return this.#fd;
  }

  /** It is paused, and tells nobody, until it has an owner that resumes it. */
  get owner(): SocketOwner | undefined {
    return this.#owner;
  }

  set owner(owner: SocketOwner | undefined) {
    this.#flowing = false;
    this.readableEnded = false;
    if (!this.destroyed) this.#owner = owner;
    else if (owner !== undefined) tellOfEnd(owner);
  }

  pause(): void {
    this.#flowing = false;
  }

  resume(): void {
    if (this.#flowing || this.destroyed || this.readableEnded) return;
    this.#flowing = true;
    const held = this.#held;
    this.#held = undefined;
    if (held !== undefined) this.#owner?.onData(held.length, held);
    if (!this.#flowing || this.destroyed) return;
    if (this.#received) this.#end();
    else if (this.#isReadable) sharedPoller().again(this.#fd);
  }

  /** Whether the owner has, or is being told of, all that the other end sent. */
  get isReadOut(): boolean {
    return this.#received;
  }

  /** Has `bytes` read again, before all else. */
  putBack(bytes: Buffer): void {
    if (bytes.length > 0) this.#held = this.#held === undefined ? bytes : Buffer.concat([bytes, this.#held]);
  }

  /**
   * Returns whether more may be written before the owner is told that nothing is left.
   *
   * @param written called when `data` is no longer needed
   */
  write(data: Buffer | string, written?: () => void): boolean {
    const bytes = typeof data === 'string' ? Buffer.from(data) : data;
    const sent = this.#sendNow(bytes);
    if (sent === bytes.length) written?.();
    else this.#sendLater({ data: bytes, sent, written });
    return !this.writableNeedDrain;
  }

  /**
   * As `write`, of bytes that are valid during the call only.
   *
   * @param endFollows whether `end` is called before anything else happens: the kernel waits for it, and both leave as one
   * packet, for which the other end wakes once
   */
  writeCopy(bytes: Buffer, endFollows = false): boolean {
    const sent = this.#sendNow(bytes, endFollows);
    if (sent < bytes.length) this.#sendLater({ data: Buffer.from(bytes.subarray(sent)), sent: 0, written: undefined });
    return !this.writableNeedDrain;
  }

  /** Returns how many of the bytes are done with. */
  #sendNow(bytes: Buffer, endFollows = false): number {
    if (this.destroyed || this.#ending || this.#isDeaf) return bytes.length;
    // The first is not held back, as nothing is under way.
    if (this.#hasWritten) this.holdNothingBack();
    this.#hasWritten = true;
    if (this.#pending.length > 0) return 0;
    const sent = this.#send(bytes, endFollows ? MSG_MORE : 0);
    if (sent >= 0) return sent;
    this.#deafen();
    return bytes.length;
  }

  #sendLater(write: PendingWrite): void {
    this.#pending.push(write);
    this.writableLength += write.data.length - write.sent;
    this.writableNeedDrain ||= this.writableLength >= WRITE_BUFFER;
    this.#waitForRoom();
  }

  end(): void {
    if (this.destroyed || this.#ending) return;
    this.#ending = true;
    // Closing says it too, where nothing more is to be read.
    if (this.readableEnded && this.writableLength === 0) this.destroy();
    else if (this.writableLength === 0) this.#shutDown();
  }

  destroy(): void {
    if (this.destroyed) return;
    this.destroyed = true;
    this.writableLength = 0;
    clearTimeout(this.#deafTimer);
    clearTimeout(this.#youth);
    const fd = this.#fd;
    this.#fd = -1;
    sharedPoller().remove(fd, { closes: true });
    nativeSockets().close(fd);
    const owner = this.#owner;
    this.#owner = undefined;
    if (owner !== undefined) tellOfEnd(owner);
  }

  resetAndDestroy(): void {
    if (this.destroyed) return;
    nativeSockets().setsockopt(this.#fd, SOL_SOCKET, SO_LINGER, RESET, RESET.byteLength);
    this.destroy();
  }

  /**
   * Goes on as a socket of `node:net`, paused, with what is held back in it. Nothing may be left to be written.
   *
   * @throws Error when it is destroyed: TLS on top of a descriptor that is closed would end the process
   */
  toSocket(): Socket {
    if (this.destroyed) throw new Error('the connection is closed');
    this.holdNothingBack();
    if (this.#youth !== undefined) probeForPeer(this.#fd);
    sharedPoller().remove(this.#fd, { closes: false });
    // It is read when it is resumed: TLS on top of it reads from the descriptor by itself.
    const options = { fd: this.#fd, readable: true, writable: true, allowHalfOpen: true, pauseOnCreate: true };
    const socket = new Socket(options).pause();
    // The descriptor is the socket's from here on.
    this.#fd = -1;
    this.destroyed = true;
    clearTimeout(this.#youth);
    if (this.#held !== undefined) socket.unshift(this.#held);
    return socket;
  }

  ready(events: number): void {
    if (this.destroyed) return;
    if (this.#dialled !== undefined) {
      if (events === 0) return;
      this.#onDialled((events & BROKEN) === 0 ? undefined : this.#error());
      if (this.destroyed) return;
    }
    if ((events & READABLE) !== 0) {
      this.#isReadable = true;
      if ((events & Ready.readHangUp) !== 0) this.#isComplete = true;
      // A read stops at what is urgent (tcp(7)), and of what is broken the last one says how.
      if ((events & (Ready.urgent | BROKEN)) !== 0) this.#isChoppy = true;
    }
    if ((events & (Ready.write | BROKEN)) !== 0 && this.#pending.length > 0) this.#sendPending();
    if (this.#isReadable) this.#read();
  }

  failed(): void {
    this.destroy();
  }

  /** Of a connection that has come to nothing. */
  #error(): Error | undefined {
    const value = Int32Array.of(0);
    nativeSockets().getsockopt(this.#fd, SOL_SOCKET, SO_ERROR, value, Int32Array.of(value.byteLength));
    return value[0] === 0 ? undefined : systemError('connect', value[0]!);
  }

  /** What there is, as long as somebody wants it. */
  #read(): void {
    for (let reads = 0; this.#isReadable && !this.#received && !this.destroyed; reads++) {
      const owner = this.#flowing ? this.#owner : undefined;
      // With nobody to have it one read is held, so that it is noticed when all is over; with an owner that waits, none.
      if (owner === undefined && (this.#owner !== undefined || this.#held !== undefined)) return;
      if (reads === READS_AT_ONCE) {
        sharedPoller().again(this.#fd);
        return;
      }
      const buffer = owner === undefined ? sharedBuffer : this.readBuffer;
      const length = nativeSockets().read(this.#fd, buffer, buffer.length);
      if (length < 0) {
        const code = lastError();
        if (code === Errno.tryAgain) this.#isReadable = false;
        else if (code !== Errno.interrupted) this.destroy();
        continue;
      }
      // Less than there is room for is all that there is: what comes next is told, and nothing comes behind the last byte.
      if (length < buffer.length && !this.#isChoppy) {
        this.#isReadable = false;
        this.#received = this.#isComplete;
      }
      if (length === 0) this.#received = true;
      else if (owner !== undefined) owner.onData(length, buffer);
      else this.#held = Buffer.from(buffer.subarray(0, length));
      if (this.#received && this.#flowing && !this.destroyed && !this.readableEnded) this.#end();
    }
  }

  #end(): void {
    this.readableEnded = true;
    this.#owner?.onEnd();
    if (this.#finished) this.destroy();
  }

  /** Returns how much has left; negative when nothing can any more. */
  #send(bytes: Buffer, flags = 0): number {
    const sent = nativeSockets().send(this.#fd, bytes, bytes.length, MSG_NOSIGNAL | flags);
    if (sent >= 0) return sent;
    const code = lastError();
    return code === Errno.tryAgain || code === Errno.interrupted ? 0 : -1;
  }

  #waitForRoom(): void {
    if (this.#waitsForRoom) return;
    this.#waitsForRoom = true;
    sharedPoller().change(this.#fd, INCOMING | Ready.write);
  }

  #sendPending(): void {
    while (this.#pending.length > 0) {
      const next = this.#pending[0]!;
      const rest = next.sent === 0 ? next.data : next.data.subarray(next.sent);
      const sent = this.#send(rest);
      if (sent < 0) {
        this.#deafen();
        return;
      }
      next.sent += sent;
      this.writableLength -= sent;
      if (sent < rest.length) return;
      this.#pending.shift();
      next.written?.();
      if (this.destroyed || this.#isDeaf) return;
    }
    this.#drain();
    if (this.#ending && !this.#finished) this.#shutDown();
  }

  #shutDown(): void {
    if (!this.#isDeaf) nativeSockets().shutdown(this.#fd, SHUT_WR);
    this.#finished = true;
    if (this.readableEnded) this.destroy();
  }

  /**
   * What cannot be written is dropped from now on, and the connection ends as its reading does: a server may answer and
   * hang up while its client still sends.
   */
  #deafen(): void {
    if (this.#isDeaf) return;
    this.#isDeaf = true;
    this.#deafTimer = setTimeout(() => this.destroy(), DEAF_MS);
    const dropped = this.#pending;
    this.#pending = [];
    this.writableLength = 0;
    for (const { written } of dropped) written?.();
    if (this.destroyed) return;
    this.#drain();
    if (this.#ending && !this.#finished) this.#shutDown();
  }

  #drain(): void {
    if (!this.writableNeedDrain || this.writableLength > 0) return;
    this.writableNeedDrain = false;
    this.#owner?.onDrain();
  }
}

/** Rejects when there is no connection. */
export function untilDialled(dial: (dialled: Dialled) => void): Promise<LightSocket> {
  return new Promise((resolve, reject) =>
    dial((result) => (result instanceof LightSocket ? resolve(result) : reject(result))),
  );
}
