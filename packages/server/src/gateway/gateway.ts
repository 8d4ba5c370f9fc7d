// Puts the parts of a worker together: listeners, TLS, the two versions of HTTP, and the routes that they share.

import type { Server, Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import type {
  GatewaySettings,
  GatewayTls,
  Route,
  ServiceRoute,
  TrafficUsage,
  WorkerReport,
} from '@sandport/protocol/routes';
import { Roster } from '../roster.ts';
import { ClientCrowd } from './client-crowd.ts';
import { type Arrival, arrivalOf, type Client, type GatewayContext, remoteAddress } from './context.ts';
import { ClientConnection } from './http1/client-connection.ts';
import { Http2Connection } from './http2/http2-connection.ts';
import { limits } from './limits.ts';
import { type Accounts, listen, type Protocols } from './listener.ts';
import { Observation } from './observation.ts';
import type { AnnouncedClient } from './proxy-protocol.ts';
import { type RouteEvents, RouteTable } from './routing/route-table.ts';
import { Router } from './routing/router.ts';
import { SharedUsage } from './shared-usage.ts';
import { Sweep } from './sweep.ts';
import { TcpStream } from './tcp-stream.ts';
import { TlsFront } from './tls-front.ts';
import { TlsStream } from './tls-stream.ts';
import { TrustedProxies } from './trusted-proxies.ts';

export interface GatewayStart {
  readonly settings: GatewaySettings;
  readonly tls: GatewayTls;
  readonly services: readonly ServiceRoute[];
  readonly routes: readonly Route[];
  readonly events: RouteEvents;
  /** How many workers share the limits. */
  readonly workers: number;
  /** Tells the others what this one has of what is limited. */
  readonly tellUsage: (usage: TrafficUsage) => void;
}

export class Gateway {
  readonly settings: GatewaySettings;
  readonly table: RouteTable;
  readonly shared: SharedUsage;
  readonly #sweep = new Sweep();
  readonly #context: GatewayContext;
  readonly #tls: TlsFront;
  readonly #proxies: TrustedProxies;
  readonly #crowd: ClientCrowd;
  readonly #observation: Observation;
  /** Of sockets that have closed, and of all other connections. */
  readonly #traffic = { received: 0, sent: 0 };
  /** What load balancers said of their clients. */
  readonly #announced = new WeakMap<Socket | TcpStream, AnnouncedClient>();
  readonly #servers: Server[] = [];
  /** What was accepted and has not closed, in whatever state. */
  readonly #connections = new Roster<Socket | TcpStream>(Symbol('connections'));

  private constructor(start: GatewayStart) {
    this.settings = start.settings;
    this.#proxies = new TrustedProxies(start.settings.trustedProxies ?? []);
    this.table = new RouteTable(start.settings, this.#sweep, start.events, start.workers);
    this.table.replace(start.routes, start.services);
    this.#crowd = new ClientCrowd(this.table.limits.connectionsPerClient);
    this.shared = new SharedUsage(this.table, this.#crowd, start.tellUsage);
    this.#observation = new Observation(start.settings.accessLog);
    this.#context = {
      observation: this.#observation,
      maxBodyBytes: this.table.limits.bodyBytes || Number.POSITIVE_INFINITY,
      router: new Router(this.table),
      sweep: this.#sweep,
      clients: new Roster<Client>(Symbol('clients')),
      stopping: false,
    };
    this.#tls = new TlsFront(start.tls, this.#sweep, (connection, tcp) => this.#onSecure(connection, tcp));
  }

  /**
   * Listens on every address of the settings.
   *
   * @throws when one of them cannot be listened on
   */
  static async start(start: GatewayStart): Promise<Gateway> {
    const gateway = new Gateway(start);
    const protocols: Protocols = {
      tls: (connection, first) => gateway.#tls.accept(connection, first),
      http2: (socket) => {
        new Http2Connection(socket, gateway.#arrival(socket, false), gateway.#context);
      },
      http1: (connection, first) => {
        new ClientConnection(connection, gateway.#arrival(connection, false), gateway.#context, first);
      },
      mayAnnounce: (connection) => !gateway.#proxies.isEmpty && gateway.#proxies.has(remoteAddress(connection)),
      announced: (connection, client) => gateway.#announced.set(connection, client),
    };
    const accounts: Accounts = {
      traffic: gateway.#traffic,
      admit: () => gateway.#connections.size < limits.connectionsPerWorker,
      opened: (connection) => gateway.#track(connection),
      released: (stream) => gateway.#release(stream),
    };
    try {
      for (const address of start.settings.listen) {
        gateway.#servers.push(await listen(address, gateway.#sweep, protocols, accounts));
      }
    } catch (error) {
      await gateway.stop(0);
      throw error;
    }
    return gateway;
  }

  #arrival(tcp: Socket | TcpStream, secure: boolean): Arrival {
    return arrivalOf(tcp, secure, this.#announced.get(tcp), this.#proxies, this.#crowd);
  }

  #track(connection: Socket | TcpStream): void {
    this.#connections.add(connection);
    if (connection instanceof TcpStream) return;
    connection.once('close', () => {
      this.#connections.delete(connection);
      this.#traffic.received += connection.bytesRead;
      this.#traffic.sent += connection.bytesWritten;
    });
  }

  #release(stream: TcpStream): void {
    this.#connections.delete(stream);
    if (stream.countedFor !== undefined) this.#crowd.leave(stream.countedFor);
    stream.countedFor = undefined;
  }

  #onSecure(connection: TLSSocket | TlsStream, tcp: Socket | TcpStream): void {
    const arrival = this.#arrival(tcp, true);
    if (connection.alpnProtocol !== 'h2') {
      new ClientConnection(connection, arrival, this.#context);
      return;
    }
    const socket = connection instanceof TlsStream ? connection.toSocket() : connection;
    new Http2Connection(socket, arrival, this.#context);
  }

  report(): WorkerReport {
    let { received, sent } = this.#traffic;
    for (const connection of this.#connections) {
      received += connection.bytesRead;
      sent += connection.bytesWritten;
    }
    return this.#observation.report(this.#connections.size, received, sent);
  }

  setTls(tls: GatewayTls): void {
    this.#tls.update(tls);
  }

  /** Stops accepting, lets open requests go on for up to `graceMs`, and cuts what is left. */
  async stop(graceMs: number): Promise<void> {
    this.#context.stopping = true;
    for (const server of this.#servers) server.close();
    for (const client of [...this.#context.clients]) client.finish();
    const deadline = performance.now() + graceMs;
    while (this.#connections.size > 0 && performance.now() < deadline) {
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    for (const connection of this.#connections) connection.destroy();
    this.table.replace([], []);
    this.shared[Symbol.dispose]();
    this.#sweep[Symbol.dispose]();
    await this.#observation.end();
  }
}
