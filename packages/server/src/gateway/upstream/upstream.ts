// Where requests for one port of one start of a sandbox, or for one service, go: a small pool of connections.

import { AGENT_PORT } from '@sandport/protocol/agent-port';
import type { Roster } from '../../roster.ts';
import type { Refusal } from '../answers/refusal.ts';
import { limits } from '../limits.ts';
import type { Sweep } from '../sweep.ts';
import { Http2Pool } from './http2-pool.ts';
import type { TunnelTarget } from './loopback-tunnel.ts';
import type { ResponseSink } from './response-sink.ts';
import { type ConnectionOwner, UpstreamConnection } from './upstream-connection.ts';

/** Whom an upstream belongs to: one start of a sandbox, or a service. Counts and ends its connections. */
export interface UpstreamGroup {
  readonly sweep: Sweep;
  readonly connections: Roster<Cuttable>;
  /** Of this worker, now. */
  readonly maxConnections: number;
  /** Of all workers, as it was set. */
  readonly connectionLimit: number;
}

/** A connection that ends abruptly when its sandbox does. */
export interface Cuttable {
  /** Which of the group's upstreams it is a connection of. */
  readonly owner: object;
  cut(): void;
}

export type UpstreamTarget =
  | {
      readonly kind: 'sandbox';
      readonly sandboxId: string;
      readonly host: string;
      readonly port: number;
      /** With which a server on the sandbox's loopback is reached; undefined: it is not. */
      readonly tunnelToken: string | undefined;
    }
  | { readonly kind: 'service'; readonly path: string };

export class Upstream implements ConnectionOwner {
  readonly target: UpstreamTarget;
  readonly sweep: Sweep;
  readonly #group: UpstreamGroup;
  readonly #idle: UpstreamConnection[] = [];
  #http2: Http2Pool | undefined;

  constructor(group: UpstreamGroup, target: UpstreamTarget) {
    this.#group = group;
    this.sweep = group.sweep;
    this.target = target;
  }

  /**
   * Gives a connection for one request: the one that was idle for the shortest time, else a new one.
   *
   * @param repeatable whether the request may be sent again when an idle connection turns out to be dead
   * @returns undefined when the sandbox has as many connections as it may have
   */
  acquire(sink: ResponseSink, isHead: boolean, repeatable: boolean, fresh = false): UpstreamConnection | undefined {
    let connection: UpstreamConnection | undefined;
    while (!fresh && this.#idle.length > 0) {
      const candidate = this.#idle[this.#idle.length - 1]!;
      const idleTime = this.sweep.now - candidate.idleSince;
      if (idleTime >= candidate.keepAliveTime - limits.sweepInterval) {
        candidate.abort();
      } else {
        if (repeatable || idleTime <= limits.unrepeatableIdleTime) connection = this.#idle.pop();
        break;
      }
    }
    if (connection === undefined) {
      if (this.#group.connections.size >= this.#group.maxConnections) return undefined;
      connection = new UpstreamConnection(this, this.#address(), this.#tunnel());
      this.#group.connections.add(connection);
    }
    connection.begin(sink, isHead);
    return connection;
  }

  /** Connections for requests that are HTTP/2 to the end; undefined for services and the agent, which do not speak it. */
  get http2(): Http2Pool | undefined {
    if (this.target.kind === 'service' || this.target.port === AGENT_PORT) return undefined;
    const { host, port } = this.target;
    this.#http2 ??= new Http2Pool(this.#group, { host, port }, this.#tunnel());
    return this.#http2;
  }

  /** Cuts every connection, in use or idle, and what clients have open through it. */
  cut(): void {
    for (const connection of [...this.#group.connections]) {
      if (connection.owner === this || connection.owner === this.#http2) connection.cut();
    }
  }

  /** What a client is told when `acquire` gives nothing. */
  fullRefusal(): Refusal {
    if (this.target.kind === 'service') return { code: 'api_unavailable' };
    const { sandboxId } = this.target;
    return { code: 'too_many_connections', sandboxId, limit: this.#group.connectionLimit };
  }

  release(connection: UpstreamConnection): void {
    if (this.#idle.length >= limits.idleUpstreams) {
      connection.abort();
      return;
    }
    connection.idleSince = this.sweep.now;
    connection.deadline = this.sweep.now + limits.upstreamIdleTime;
    this.#idle.push(connection);
  }

  forget(connection: UpstreamConnection): void {
    this.#group.connections.delete(connection);
    const index = this.#idle.indexOf(connection);
    if (index !== -1) this.#idle.splice(index, 1);
  }

  #tunnel(): TunnelTarget | undefined {
    if (this.target.kind === 'service' || this.target.port === AGENT_PORT) return undefined;
    const { host, port, tunnelToken } = this.target;
    return tunnelToken === undefined ? undefined : { host, port, token: tunnelToken };
  }

  #address(): { host: string; port: number } | { path: string } {
    return this.target.kind === 'sandbox'
      ? { host: this.target.host, port: this.target.port }
      : { path: this.target.path };
  }
}
