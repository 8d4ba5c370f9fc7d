import type { Socket } from 'node:net';
import type { Router } from './routing/router.ts';
import type { Sweep } from './sweep.ts';

/** A client's connection, as the gateway sees it when it stops. */
export interface Client {
  /** Ends as soon as what is open has been answered. */
  finish(): void;
  /** Ends now. */
  destroy(): void;
}

/** What every client connection of a worker shares. */
export interface GatewayContext {
  readonly router: Router;
  readonly sweep: Sweep;
  readonly clients: Set<Client>;
  /** Set once the worker stops: no connection is kept alive any more. */
  stopping: boolean;
}

/** What was known of a connection when it was accepted. */
export interface Arrival {
  /** The TCP socket, also under TLS: only it can be reset. */
  readonly tcp: Socket;
  readonly secure: boolean;
  /** The header lines that tell the server who asks: `X-Forwarded-For`, `-Proto` and `-Port`. */
  readonly forwardedLines: string;
}

export function arrivalOf(tcp: Socket, secure: boolean): Arrival {
  const address = tcp.remoteAddress ?? 'unknown';
  // An IPv4 client of a dual-stack listener.
  const client = address.startsWith('::ffff:') ? address.slice(7) : address;
  // `Forwarded` (RFC 7239) would be written here too; few servers read it.
  const forwardedLines =
    `X-Forwarded-For: ${client}\r\nX-Forwarded-Proto: ${secure ? 'https' : 'http'}\r\n` +
    `X-Forwarded-Port: ${tcp.localPort ?? 0}\r\n`;
  return { tcp, secure, forwardedLines };
}
