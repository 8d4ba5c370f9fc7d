// Accepts connections and tells TLS, HTTP/2 and HTTP/1.1 apart by their first bytes, so that one port serves all.

import { createServer, type Server, type Socket } from 'node:net';
import type { ListenAddress } from '@sandport/protocol/routes';
import { limits } from './limits.ts';
import { type AnnouncedClient, readProxyHeader } from './proxy-protocol.ts';
import type { Expiring, Sweep } from './sweep.ts';

/** First byte of a TLS record that holds a ClientHello (RFC 8446, section 5.1). */
const TLS_HANDSHAKE = 0x16;
/** What a client that knows it talks to HTTP/2 sends first (RFC 9113, section 3.4). */
const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');

export interface Protocols {
  /** The bytes that were read are back in the socket. */
  tls(socket: Socket): void;
  http2(socket: Socket): void;
  http1(socket: Socket, first: Buffer): void;
  /** Whether the connection may begin with what a load balancer says of its client. */
  mayAnnounce(socket: Socket): boolean;
  announced(socket: Socket, client: AnnouncedClient): void;
}

/** A connection of which nothing is known yet. */
class Newcomer implements Expiring {
  deadline: number;
  readonly #socket: Socket;
  readonly #sweep: Sweep;
  readonly #protocols: Protocols;
  #seen: Buffer | undefined;
  #mayAnnounce: boolean;

  constructor(socket: Socket, sweep: Sweep, protocols: Protocols) {
    this.#socket = socket;
    this.#sweep = sweep;
    this.#protocols = protocols;
    this.#mayAnnounce = protocols.mayAnnounce(socket);
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
    let seen = this.#seen === undefined ? chunk : Buffer.concat([this.#seen, chunk]);
    if (this.#mayAnnounce) {
      const header = readProxyHeader(seen);
      if (header === 'malformed') {
        this.#socket.destroy();
        return;
      }
      if (header === 'incomplete') {
        this.#seen = seen;
        return;
      }
      this.#mayAnnounce = false;
      this.#seen = undefined;
      if (header !== 'none') {
        if (header.client !== undefined) this.#protocols.announced(this.#socket, header.client);
        seen = seen.subarray(header.length);
        if (seen.length === 0) return;
      }
    }
    if (seen.length < PREFACE.length && PREFACE.subarray(0, seen.length).equals(seen)) {
      this.#seen = seen;
      return;
    }
    const socket = this.#socket;
    this.#forget();
    if (seen[0] === TLS_HANDSHAKE) {
      socket.pause();
      socket.unshift(seen);
      this.#protocols.tls(socket);
    } else if (seen.length >= PREFACE.length && PREFACE.equals(seen.subarray(0, PREFACE.length))) {
      socket.pause();
      socket.unshift(seen);
      this.#protocols.http2(socket);
    } else {
      this.#protocols.http1(socket, seen);
    }
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
export async function listen(address: ListenAddress, sweep: Sweep, protocols: Protocols): Promise<Server> {
  const server = createServer({
    allowHalfOpen: true,
    noDelay: true,
    keepAlive: true,
    keepAliveInitialDelay: limits.keepAliveProbe,
  });
  server.maxConnections = limits.connectionsPerWorker;
  server.on('connection', (socket) => new Newcomer(socket, sweep, protocols));
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen({ ...address, reusePort: true, backlog: 4096 }, () => {
      server.off('error', reject);
      resolve();
    });
  });
  // A worker out of file descriptors goes on with the connections that it has.
  server.on('error', ignore);
  return server;
}
