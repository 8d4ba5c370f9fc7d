// Accepts connections and gives each to what serves its protocol, so that one port serves all.

import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import type { ListenAddress } from '@sandport/protocol/routes';
import { FirstBytes } from './first-bytes.ts';
import { limits } from './limits.ts';
import type { AnnouncedClient } from './proxy-protocol.ts';
import type { Expiring, Sweep } from './sweep.ts';
import { takeConnections } from './tcp-handle.ts';
import { type Acceptor, type StreamOwner, TcpStream } from './tcp-stream.ts';
import { hasTlsHandles } from './tls-handle.ts';

export interface Protocols {
  /** The bytes that were read are back in the socket, which is paused. */
  http2(socket: Socket): void;
  /** As of HTTP/2 where it is a socket. Otherwise `first` is what has been read, valid during the call only. */
  tls(connection: Socket | TcpStream, first: Buffer): void;
  /** `first` is valid during the call only. */
  http1(connection: Socket | TcpStream, first: Buffer): void;
  /** Whether the connection may begin with what a load balancer says of its client. */
  mayAnnounce(connection: Socket | TcpStream): boolean;
  announced(connection: Socket | TcpStream, client: AnnouncedClient): void;
}

/** Who keeps account of the connections. */
export interface Accounts {
  /** Bytes of all that have been accepted as handles. */
  readonly traffic: Acceptor['traffic'];
  /** @returns false when there are too many */
  admit(): boolean;
  opened(connection: Socket | TcpStream): void;
  released(stream: TcpStream): void;
}

/** A connection of which nothing is known yet. */
class Newcomer implements Expiring, StreamOwner {
  deadline: number;
  readonly #stream: TcpStream;
  readonly #sweep: Sweep;
  readonly #protocols: Protocols;
  readonly #accounts: Accounts;
  readonly #first: FirstBytes;

  constructor(stream: TcpStream, sweep: Sweep, protocols: Protocols, accounts: Accounts) {
    this.#stream = stream;
    this.#sweep = sweep;
    this.#protocols = protocols;
    this.#accounts = accounts;
    this.#first = new FirstBytes(protocols.mayAnnounce(stream));
    this.deadline = sweep.now + limits.firstBytesTime;
    sweep.add(this);
    stream.owner = this;
    stream.resume();
  }

  onDeadline(): void {
    this.#stream.destroy();
  }

  read(length: number, buf: Buffer): void {
    const stream = this.#stream;
    const first = this.#first;
    const protocol = first.read(buf.subarray(0, length));
    if (first.announced !== undefined) this.#protocols.announced(stream, first.announced);
    if (protocol === 'incomplete') return;
    if (protocol === 'malformed') {
      stream.destroy();
      return;
    }
    this.#sweep.delete(this);
    if (protocol === 'http1' || (protocol === 'tls' && hasTlsHandles)) {
      this.#protocols[protocol](stream, first.bytes);
      return;
    }
    const socket = stream.toSocket(Buffer.from(first.bytes));
    this.#accounts.opened(socket);
    if (first.announced !== undefined) this.#protocols.announced(socket, first.announced);
    this.#protocols[protocol](socket, first.bytes);
  }

  next(): undefined {}

  onDrain(): void {}

  onEnd(): void {
    this.#stream.end();
  }

  onClose(): void {
    this.#sweep.delete(this);
  }
}

/** The same, where Node gives no handles. */
class NewSocket implements Expiring {
  deadline: number;
  readonly #socket: Socket;
  readonly #sweep: Sweep;
  readonly #protocols: Protocols;
  readonly #first: FirstBytes;

  constructor(socket: Socket, sweep: Sweep, protocols: Protocols) {
    this.#socket = socket;
    this.#sweep = sweep;
    this.#protocols = protocols;
    this.#first = new FirstBytes(protocols.mayAnnounce(socket));
    this.deadline = sweep.now + limits.firstBytesTime;
    sweep.add(this);
    socket.on('data', this.#onData);
    socket.on('end', this.#onEnd);
    socket.on('error', ignore);
    socket.on('close', this.#onClose);
  }

  onDeadline(): void {
    this.#socket.destroy();
  }

  readonly #onData = (chunk: Buffer): void => {
    const socket = this.#socket;
    const first = this.#first;
    const protocol = first.read(chunk);
    if (first.announced !== undefined) this.#protocols.announced(socket, first.announced);
    if (protocol === 'incomplete') return;
    if (protocol === 'malformed') {
      socket.destroy();
      return;
    }
    this.#forget();
    if (protocol !== 'http1') {
      socket.pause();
      socket.unshift(first.bytes);
    }
    this.#protocols[protocol](socket, first.bytes);
  };

  readonly #onEnd = (): void => {
    this.#socket.end();
  };

  readonly #onClose = (): void => {
    this.#forget();
  };

  #forget(): void {
    this.#sweep.delete(this);
    this.#socket.off('data', this.#onData);
    this.#socket.off('end', this.#onEnd);
    this.#socket.off('error', ignore);
    this.#socket.off('close', this.#onClose);
  }
}

function ignore(): void {}

/**
 * Listens on one address together with the other workers.
 *
 * @throws when the address cannot be listened on
 */
export async function listen(
  address: ListenAddress,
  sweep: Sweep,
  protocols: Protocols,
  accounts: Accounts,
): Promise<Server> {
  const server = createServer({
    allowHalfOpen: true,
    noDelay: true,
    keepAlive: true,
    keepAliveInitialDelay: limits.keepAliveProbe,
  });
  server.on('connection', (socket) => {
    if (!accounts.admit()) {
      socket.destroy();
      return;
    }
    accounts.opened(socket);
    new NewSocket(socket, sweep, protocols);
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen({ ...address, reusePort: true, backlog: 4096 }, () => {
      server.off('error', reject);
      resolve();
    });
  });
  // A worker out of file descriptors goes on with the connections that it has.
  server.on('error', ignore);
  const { port } = server.address() as AddressInfo;
  const acceptor: Acceptor = { traffic: accounts.traffic, port, released: (stream) => accounts.released(stream) };
  takeConnections(server, limits.keepAliveProbe, (handle) => {
    if (!accounts.admit()) {
      handle.close();
      return;
    }
    const stream = new TcpStream(handle, acceptor);
    accounts.opened(stream);
    new Newcomer(stream, sweep, protocols, accounts);
  });
  return server;
}
