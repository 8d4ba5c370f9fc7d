// The HTTP/2 connections to one port of one start of a sandbox.

import type { Sweep } from '../sweep.ts';
import { Http2Session, type SessionOwner } from './http2-session.ts';
import type { TunnelTarget } from './loopback-tunnel.ts';
import type { UpstreamGroup } from './upstream.ts';

export class Http2Pool implements SessionOwner {
  readonly sweep: Sweep;
  readonly #group: UpstreamGroup;
  readonly #address: { readonly host: string; readonly port: number };
  readonly #tunnel: TunnelTarget | undefined;
  readonly #sessions = new Set<Http2Session>();

  constructor(
    group: UpstreamGroup,
    address: { readonly host: string; readonly port: number },
    tunnel: TunnelTarget | undefined,
  ) {
    this.sweep = group.sweep;
    this.#group = group;
    this.#address = address;
    this.#tunnel = tunnel;
  }

  /**
   * Gives a connection with room for one more stream. The caller attaches itself to it at once.
   *
   * @returns undefined when the sandbox has as many connections as it may have
   */
  acquire(): Http2Session | undefined {
    for (const session of this.#sessions) if (session.hasRoom) return session;
    if (this.#group.connections.size >= this.#group.maxConnections) return undefined;
    const session = new Http2Session(this, this.#address, this.#tunnel);
    this.#sessions.add(session);
    this.#group.connections.add(session);
    return session;
  }

  /** No new stream goes to it. It stays in the group, which cuts it with the sandbox, until it is gone. */
  retire(session: Http2Session): void {
    this.#sessions.delete(session);
  }

  forget(session: Http2Session): void {
    this.#sessions.delete(session);
    this.#group.connections.delete(session);
  }
}
