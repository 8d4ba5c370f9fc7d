import type { Socket } from 'node:net';
import type { Roster } from '../roster.ts';
import { forwardedLines } from './forwarded.ts';
import type { Observation } from './observation.ts';
import type { AnnouncedClient } from './proxy-protocol.ts';
import type { Router } from './routing/router.ts';
import type { Sweep } from './sweep.ts';
import type { TcpStream } from './tcp-stream.ts';
import type { TrustedProxies } from './trusted-proxies.ts';

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
  readonly clients: Roster<Client>;
  readonly observation?: Observation;
  /** Bytes of one request's body. Default: any number. */
  readonly maxBodyBytes?: number;
  /** Set once the worker stops: no connection is kept alive any more. */
  stopping: boolean;
}

/** What was known of a connection when it was accepted. */
export interface Arrival {
  /** The TCP connection, also under TLS: only it can be reset. */
  readonly tcp: Socket | TcpStream;
  readonly secure: boolean;
  /** Of the client, or of the proxy that speaks for it. */
  readonly address: string;
  /** The port that was connected to. */
  readonly port: number;
  /** Whether it is a proxy whose word about its clients counts. */
  readonly trusted: boolean;
  /** Whether its client has more connections than it may. */
  readonly crowded: boolean;
  /** See `forwardedLines`. */
  readonly forwardedLines: string;
}

/** Counts connections by address. */
export interface Crowd {
  /** @returns whether the address has too many with this one */
  enter(address: string, connection: Socket | TcpStream): boolean;
}

/** @param announced what a load balancer in front said */
export function arrivalOf(
  tcp: Socket | TcpStream,
  secure: boolean,
  announced?: AnnouncedClient,
  proxies?: TrustedProxies,
  crowd?: Crowd,
): Arrival {
  const address = announced?.address ?? remoteAddress(tcp);
  const port = announced?.port ?? tcp.localPort ?? 0;
  const trusted = proxies?.has(address) === true;
  return {
    ...{ tcp, secure, address, port, trusted },
    crowded: !trusted && crowd?.enter(address, tcp) === true,
    forwardedLines: forwardedLines(address, secure ? 'https' : 'http', port),
  };
}

export function remoteAddress(socket: Socket | TcpStream): string {
  const address = socket.remoteAddress ?? 'unknown';
  // An IPv4 client of a dual-stack listener.
  return address.startsWith('::ffff:') ? address.slice(7) : address;
}
