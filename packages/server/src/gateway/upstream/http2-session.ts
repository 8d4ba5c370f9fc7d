// One HTTP/2 connection, without TLS, to a server in a sandbox that speaks nothing else, such as a gRPC server.

import { type ClientHttp2Session, connect } from 'node:http2';
import type { Socket } from 'node:net';
import { Roster } from '../../roster.ts';
import { headerListSize, limits } from '../limits.ts';
import type { Expiring, Sweep } from '../sweep.ts';
import { type Dial, dial } from './dial.ts';
import type { TunnelTarget } from './loopback-tunnel.ts';
import type { UpstreamFailure } from './response-sink.ts';

/** A request that wants a stream of the connection. After `onFailure` and `onRouteGone` it hears nothing more. */
export interface StreamUser {
  /** The connection is there: time to open the stream. */
  onSession(session: ClientHttp2Session): void;
  onFailure(failure: UpstreamFailure): void;
  /** The sandbox is gone: the client has to see an abrupt end. */
  onRouteGone(): void;
}

export interface SessionOwner {
  readonly sweep: Sweep;
  /** It takes no more streams, and ends after the last. */
  retire(session: Http2Session): void;
  forget(session: Http2Session): void;
}

const USER = Symbol('user');

const options = () => ({
  settings: {
    enablePush: false,
    initialWindowSize: limits.streamWindow,
    maxHeaderListSize: headerListSize(),
  },
  maxHeaderListPairs: limits.headerCount + 5,
  maxSessionMemory: limits.sessionMemory / 1_000_000,
  maxSendHeaderBlockLength: 2 * limits.headBytes,
  maxReservedRemoteStreams: 0,
});

export class Http2Session implements Expiring {
  deadline: number;
  readonly owner: SessionOwner;
  readonly #users = new Roster<StreamUser>(USER);
  readonly #dial: Dial;
  #session: ClientHttp2Session | undefined;
  /** Whether the server has shown by its settings that it speaks HTTP/2. */
  #proven = false;
  #retired = false;
  #gone = false;

  constructor(
    owner: SessionOwner,
    address: { readonly host: string; readonly port: number },
    tunnel: TunnelTarget | undefined,
  ) {
    this.owner = owner;
    this.deadline = owner.sweep.now + limits.connectTime + limits.sweepInterval;
    owner.sweep.add(this);
    this.#dial = dial(address, tunnel, {
      connected: (socket) => this.#onSocket(socket),
      failed: (failure) => this.#fail(failure),
    });
  }

  /** Whether it takes one more stream. Until the server has said how many it takes, a hundred, as most do. */
  get hasRoom(): boolean {
    if (this.#gone || this.#retired) return false;
    const most = this.#proven ? this.#session?.remoteSettings.maxConcurrentStreams : undefined;
    return this.#users.size < Math.min(most ?? limits.streamsPerUpstream, limits.streamsPerUpstream);
  }

  attach(user: StreamUser): void {
    this.#users.add(user);
    if (this.#proven) this.deadline = 0;
    if (this.#session !== undefined) user.onSession(this.#session);
  }

  /** The user's stream is over. */
  detach(user: StreamUser): void {
    if (!this.#users.delete(user) || this.#users.size > 0 || this.#gone) return;
    if (this.#retired) this.#close();
    else if (this.#proven) this.deadline = this.owner.sweep.now + limits.upstreamIdleTime;
  }

  /** The sandbox is gone: cuts every stream, and lets the clients see it. */
  cut(): void {
    const users = [...this.#users];
    this.#users.clear();
    this.#close();
    for (const user of users) user.onRouteGone();
  }

  onDeadline(): void {
    this.#fail(this.#session === undefined ? 'unreachable' : 'malformed');
  }

  #onSocket(socket: Socket): void {
    const session = connect('http://sandbox', { ...options(), createConnection: () => socket });
    this.#session = session;
    session.setLocalWindowSize(limits.sessionWindow);
    session.once('remoteSettings', () => {
      this.#proven = true;
      this.deadline = this.#users.size > 0 ? 0 : this.owner.sweep.now + limits.upstreamIdleTime;
    });
    // The streams that the server still answers go on; new ones go elsewhere.
    session.on('goaway', () => this.#retire());
    session.on('error', () => {});
    session.on('close', () => this.#fail('broken'));
    // In the order in which they came.
    for (const user of [...this.#users].reverse()) user.onSession(session);
  }

  #retire(): void {
    this.#retired = true;
    this.owner.retire(this);
    if (this.#users.size === 0) this.#close();
  }

  #fail(failure: UpstreamFailure): void {
    const users = [...this.#users];
    this.#users.clear();
    this.#close();
    for (const user of users) user.onFailure(failure);
  }

  #close(): void {
    if (this.#gone) return;
    this.#gone = true;
    this.owner.sweep.delete(this);
    this.owner.forget(this);
    if (this.#session === undefined) this.#dial.abort();
    else this.#session.destroy();
  }
}
