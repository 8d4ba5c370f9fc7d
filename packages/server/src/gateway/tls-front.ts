// Ends TLS for connections that turned out to speak it. The certificate can be changed while connections are open.

import type { Socket } from 'node:net';
import { createServer, type Server, type TLSSocket } from 'node:tls';
import type { GatewayTls } from '@sandport/protocol/routes';
import { limits } from './limits.ts';

export class TlsFront {
  readonly #server: Server;
  /** The TCP socket under each handshake, by its two ends: a `TLSSocket` does not give it away. */
  readonly #shaking = new Map<string, Socket>();

  /**
   * @param onSecure takes the connection once the handshake is done, with the TCP socket under it
   * @param handshakeTimeout milliseconds that a handshake may take
   */
  constructor(
    tls: GatewayTls,
    onSecure: (socket: TLSSocket, tcp: Socket) => void,
    handshakeTimeout: number = limits.tlsHandshakeTime,
  ) {
    this.#server = createServer({
      ...contextOf(tls),
      ALPNProtocols: ['h2', 'http/1.1'],
      handshakeTimeout,
      allowHalfOpen: true,
    });
    this.#server.on('secureConnection', (socket: TLSSocket) => {
      const key = endsOf(socket);
      const tcp = this.#shaking.get(key);
      this.#shaking.delete(key);
      if (tcp === undefined) socket.destroy();
      else onSecure(socket, tcp);
    });
    // Failed handshakes are the client's affair, and common on a public port.
    this.#server.on('tlsClientError', (_error, socket) => socket.destroy());
  }

  accept(tcp: Socket): void {
    const key = endsOf(tcp);
    this.#shaking.set(key, tcp);
    tcp.once('close', () => {
      if (this.#shaking.get(key) === tcp) this.#shaking.delete(key);
    });
    this.#server.emit('connection', tcp);
  }

  /** Takes a new certificate for new handshakes. */
  update(tls: GatewayTls): void {
    this.#server.setSecureContext(contextOf(tls));
  }
}

function endsOf(socket: Socket): string {
  return `${socket.localAddress} ${socket.localPort} ${socket.remoteAddress} ${socket.remotePort}`;
}

function contextOf(tls: GatewayTls) {
  return {
    cert: tls.cert,
    key: tls.key,
    ticketKeys: Buffer.from(tls.ticketKeys, 'base64'),
    // By default Node makes it of the process's arguments; sessions count for whoever has the ticket keys.
    sessionIdContext: 'sandport',
    minVersion: 'TLSv1.2' as const,
    ecdhCurve: 'X25519:P-256:P-384',
  };
}
