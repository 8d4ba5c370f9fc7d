// Accepts TCP connections as they are, on their descriptors.
import { getSystemErrorName } from 'node:util';
import { LightSocket } from './light-socket.ts';
import {
  ACCEPT_FLAGS,
  Errno,
  IPPROTO_TCP,
  lastError,
  nativeSockets,
  openSocket,
  readAddress,
  SO_REUSEADDR,
  SOCKADDR_IN_BYTES,
  SOL_SOCKET,
  setOption,
  TCP_NODELAY,
  writeSocketAddress,
} from './native-sockets.ts';
import { Ready, sharedPoller, type Watcher } from './poller.ts';
import { probeForPeer } from './probe.ts';

const BACKLOG = 4096;
/** Until others have their turn. */
const ACCEPTS_AT_ONCE = 16;
/** Without room for another descriptor, until that may have changed. */
const FULL_MS = 100;

export class LightListener implements Watcher {
  readonly port: number;
  readonly #fd: number;
  readonly #accept: (socket: LightSocket) => void;
  readonly #peer = Buffer.alloc(SOCKADDR_IN_BYTES);
  readonly #length = new Int32Array(1);
  #retry: NodeJS.Timeout | undefined;
  #isClosed = false;

  /**
   * Keeps the process alive until it is closed.
   *
   * @param address IPv4, in dotted form
   * @param port 0: any
   * @throws Error when the port is taken
   */
  constructor(address: string, port: number, accept: (socket: LightSocket) => void) {
    const { bind, listen, getsockname, close } = nativeSockets();
    this.#accept = accept;
    this.#fd = openSocket();
    setOption(this.#fd, SOL_SOCKET, SO_REUSEADDR, 1);
    setOption(this.#fd, IPPROTO_TCP, TCP_NODELAY, 1);
    probeForPeer(this.#fd);
    writeSocketAddress(this.#peer, address, port);
    this.#length[0] = SOCKADDR_IN_BYTES;
    const isListening =
      bind(this.#fd, this.#peer, SOCKADDR_IN_BYTES) === 0 &&
      listen(this.#fd, BACKLOG) === 0 &&
      getsockname(this.#fd, this.#peer, this.#length) === 0;
    if (!isListening) {
      const code = lastError();
      close(this.#fd);
      throw new Error(`cannot listen on ${address}:${port}: ${getSystemErrorName(-code)}`);
    }
    this.port = this.#peer.readUInt16BE(2);
    this.#watch();
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    clearTimeout(this.#retry);
    sharedPoller().remove(this.#fd, { closes: true });
    nativeSockets().close(this.#fd);
  }

  #watch(): void {
    sharedPoller().add(this.#fd, Ready.read, this, { repeats: true });
  }

  ready(): void {
    for (let accepted = 0; accepted < ACCEPTS_AT_ONCE && !this.#isClosed; accepted++) {
      this.#length[0] = SOCKADDR_IN_BYTES;
      const fd = nativeSockets().accept4(this.#fd, this.#peer, this.#length, ACCEPT_FLAGS);
      if (fd >= 0) {
        this.#take(LightSocket.accepted(fd, readAddress(this.#peer)));
        continue;
      }
      const code = lastError();
      // One that was reset before it was accepted is the next one's turn (accept(2)).
      if (code === Errno.connectionAborted || code === Errno.interrupted) continue;
      if (code !== Errno.tryAgain) this.#rest();
      return;
    }
  }

  /** The next ones are told of all the same. */
  failed(): void {}

  #take(socket: LightSocket): void {
    try {
      this.#accept(socket);
    } catch (error) {
      socket.resetAndDestroy();
      throw error;
    }
  }

  /** Those that it has go on, and those that wait do so. */
  #rest(): void {
    sharedPoller().remove(this.#fd, { closes: false });
    const retry = (): void => {
      try {
        this.#watch();
      } catch {
        this.#rest();
      }
    };
    this.#retry = setTimeout(retry, FULL_MS);
  }
}
