// Ends TLS for connections that turned out to speak it. The certificate can be changed while connections are open.

import { constants } from 'node:crypto';
import type { Socket } from 'node:net';
import {
  createSecureContext,
  createServer,
  DEFAULT_CIPHERS,
  type SecureContext,
  type Server,
  type TLSSocket,
} from 'node:tls';
import type { GatewayTls } from '@sandport/protocol/routes';
import { limits } from './limits.ts';
import type { Sweep } from './sweep.ts';
import { TcpStream } from './tcp-stream.ts';
import { type TlsAcceptor, TlsStream } from './tls-stream.ts';

/** Node's own, but with that of TLS 1.3 first whose hash, SHA-256, processors compute: a handshake hashes more than it encrypts. */
const FIRST_CIPHER = 'TLS_AES_128_GCM_SHA256';
const CIPHERS = [FIRST_CIPHER, ...DEFAULT_CIPHERS.split(':').filter((name) => name !== FIRST_CIPHER)].join(':');

/** Takes the connection once the handshake is done, with the TCP connection under it. */
type OnSecure = (connection: TLSSocket | TlsStream, tcp: Socket | TcpStream) => void;

export class TlsFront implements TlsAcceptor {
  readonly sweep: Sweep;
  readonly handshakeTimeout: number;
  /** Of handshakes on handles. The server has its own. */
  context: SecureContext;
  readonly secured: OnSecure;
  readonly #server: Server;
  /** The TCP socket under each handshake, by its two ends: a `TLSSocket` does not give it away. */
  readonly #shaking = new Map<string, Socket>();

  /** @param handshakeTimeout milliseconds that a handshake may take */
  constructor(tls: GatewayTls, sweep: Sweep, onSecure: OnSecure, handshakeTimeout: number = limits.tlsHandshakeTime) {
    this.sweep = sweep;
    this.secured = onSecure;
    this.handshakeTimeout = handshakeTimeout;
    this.context = createSecureContext(contextOf(tls));
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

  /** @param first what the client began with, valid during the call only */
  accept(tcp: Socket | TcpStream, first: Buffer): void {
    if (tcp instanceof TcpStream) {
      new TlsStream(tcp, first, this);
      return;
    }
    const key = endsOf(tcp);
    this.#shaking.set(key, tcp);
    tcp.once('close', () => {
      if (this.#shaking.get(key) === tcp) this.#shaking.delete(key);
    });
    this.#server.emit('connection', tcp);
  }

  /** Takes a new certificate for new handshakes. */
  update(tls: GatewayTls): void {
    const options = contextOf(tls);
    this.context = createSecureContext(options);
    this.#server.setSecureContext(options);
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
    ciphers: CIPHERS,
    honorCipherOrder: true,
    // A client that puts ChaCha20 first has no AES in its processor, and gets what it is fast with.
    secureOptions: constants.SSL_OP_NO_RENEGOTIATION | constants.SSL_OP_PRIORITIZE_CHACHA,
  };
}
