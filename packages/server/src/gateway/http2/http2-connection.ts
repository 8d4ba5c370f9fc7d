// Serves HTTP/2 connections: each stream is a request of its own, routed by its own `:authority`.

import { performServerHandshake, type ServerHttp2Session, type ServerHttp2Stream } from 'node:http2';
import type { Socket } from 'node:net';
import { Roster } from '../../roster.ts';
import type { Arrival, Client, GatewayContext } from '../context.ts';
import { headerListSize, limits } from '../limits.ts';
import type { Expiring } from '../sweep.ts';
import { settleWrites } from './settle-writes.ts';
import { StreamExchange } from './stream-exchange.ts';

const STREAM = Symbol('stream');

const sessionOptions = () => ({
  settings: {
    maxConcurrentStreams: limits.streamsPerSession,
    initialWindowSize: limits.streamWindow,
    maxHeaderListSize: headerListSize(),
    // WebSockets (RFC 8441).
    enableConnectProtocol: true,
  },
  maxHeaderListPairs: limits.headerCount + 5,
  maxSessionMemory: limits.sessionMemory / 1_000_000,
  maxSendHeaderBlockLength: 2 * limits.headBytes,
});

export class Http2Connection implements Client, Expiring {
  deadline: number;
  readonly #context: GatewayContext;
  readonly #session: ServerHttp2Session;
  readonly #socket: Socket;
  readonly #streams = new Roster<ServerHttp2Stream>(STREAM);
  #idleSince: number;
  /** When the PING was sent that is not answered yet, or 0. */
  #pingedAt = 0;
  #answeredAt: number;

  /** @param socket an HTTP/2 client's, with its first bytes still to be read */
  constructor(socket: Socket, arrival: Arrival, context: GatewayContext) {
    this.#context = context;
    this.#socket = socket;
    this.#idleSince = context.sweep.now;
    this.#answeredAt = context.sweep.now;
    this.deadline = context.sweep.now + limits.streamCheckInterval;
    this.#session = performServerHandshake(socket, sessionOptions());
    this.#session.setLocalWindowSize(limits.sessionWindow);
    this.#session.on('stream', (stream: ServerHttp2Stream, _headers, _flags, raw: string[]) => {
      this.#onStream(new StreamExchange(stream, raw, arrival, context), stream);
    });
    this.#session.on('error', () => socket.destroy());
    this.#session.on('close', () => this.#onClose());
    socket.on('error', () => {});
    // Half an HTTP/2 connection serves no request.
    socket.on('end', () => this.destroy());
    context.clients.add(this);
    context.sweep.add(this);
  }

  finish(): void {
    this.#session.close();
  }

  destroy(): void {
    this.#session.destroy();
  }

  onDeadline(): void {
    const { now } = this.#context.sweep;
    this.deadline = now + limits.streamCheckInterval;
    for (const stream of this.#streams) {
      // `node:http2` forgets to end a stream that is closed by its client between its last write and its end.
      if (stream.closed && !stream.destroyed) stream.destroy();
    }
    this.#probe(now);
    if (this.#streams.size > 0) return;
    const idleTime = now - this.#idleSince;
    const isOver = this.#session.destroyed || this.#session.closed;
    // A session that is over waits for the client to close, and may by then have stopped reading, which hides that.
    if (idleTime >= (isOver ? limits.lingerTime : limits.idleTime)) this.#socket.destroy();
  }

  /** Asks whether the client is there. A session that writes does not read, and misses that its client is gone. */
  #probe(now: number): void {
    if (this.#session.destroyed) return;
    if (this.#pingedAt !== 0) {
      if (now - this.#pingedAt >= limits.pingTime) this.#socket.destroy();
    } else if (now - this.#answeredAt >= limits.pingInterval) {
      this.#pingedAt = now;
      this.#session.ping((error) => {
        if (error !== null) return;
        this.#pingedAt = 0;
        this.#answeredAt = this.#context.sweep.now;
      });
    }
  }

  #onStream(exchange: StreamExchange, stream: ServerHttp2Stream): void {
    settleWrites(stream);
    this.#streams.add(stream);
    stream.once('close', () => {
      this.#streams.delete(stream);
      this.#idleSince = this.#context.sweep.now;
    });
    exchange.start();
  }

  #onClose(): void {
    this.#context.clients.delete(this);
    this.#context.sweep.delete(this);
  }
}
