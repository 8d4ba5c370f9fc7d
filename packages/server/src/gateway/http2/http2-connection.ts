// Serves HTTP/2 connections: each stream is a request of its own, routed by its own `:authority`.

import { performServerHandshake, type ServerHttp2Session, type ServerHttp2Stream } from 'node:http2';
import type { Socket } from 'node:net';
import type { Arrival, Client, GatewayContext } from '../context.ts';
import { limits } from '../limits.ts';
import type { Expiring } from '../sweep.ts';
import { StreamExchange } from './stream-exchange.ts';

const SESSION_OPTIONS = {
  settings: { maxConcurrentStreams: limits.streamsPerSession, initialWindowSize: limits.streamWindow },
  maxHeaderListPairs: limits.headerCount + 5,
  maxSessionMemory: limits.sessionMemory / 1_000_000,
  maxSendHeaderBlockLength: 2 * limits.headBytes,
};

export class Http2Connection implements Client, Expiring {
  deadline: number;
  readonly #context: GatewayContext;
  readonly #session: ServerHttp2Session;
  #streams = 0;

  /** @param socket an HTTP/2 client's, with its first bytes still to be read */
  constructor(socket: Socket, arrival: Arrival, context: GatewayContext) {
    this.#context = context;
    this.deadline = context.sweep.now + limits.idleTime;
    this.#session = performServerHandshake(socket, SESSION_OPTIONS);
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
    this.finish();
  }

  #onStream(exchange: StreamExchange, stream: ServerHttp2Stream): void {
    this.#streams++;
    this.deadline = 0;
    stream.once('close', () => {
      this.#streams--;
      if (this.#streams === 0) this.deadline = this.#context.sweep.now + limits.idleTime;
    });
    exchange.start();
  }

  #onClose(): void {
    this.#context.clients.delete(this);
    this.#context.sweep.delete(this);
  }
}
