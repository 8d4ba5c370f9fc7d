// One HTTP/2 stream whose server in the sandbox speaks HTTP/2 too: a stream to it, with trailers and resets both ways.

import { type ClientHttp2Session, type ClientHttp2Stream, constants, type ServerHttp2Stream } from 'node:http2';
import type { Refusal } from '../answers/refusal.ts';
import type { MaskedOrigin } from '../routing/masked-origin.ts';
import type { Destination } from '../routing/route-table.ts';
import { failureRefusal } from '../upstream/failure.ts';
import type { Http2Session, StreamUser } from '../upstream/http2-session.ts';
import type { UpstreamFailure } from '../upstream/response-sink.ts';
import { endEarly } from './end-early.ts';
import { endToEndFields, type Fields, fieldsByName, withPublicLocation } from './raw-fields.ts';
import type { Forwarding, Http2Request } from './request-translation.ts';

/** What the client is told. */
export interface Answers {
  /** Answers the request in the server's stead. */
  refuse(refusal: Refusal): void;
  /** The server has answered with this status. */
  answered(status: number): void;
}

export class Http2Relay implements StreamUser {
  readonly #client: ServerHttp2Stream;
  readonly #request: Http2Request;
  readonly #destination: Destination;
  readonly #answers: Answers;
  readonly #head: string[];
  readonly #masked: MaskedOrigin | undefined;
  readonly #maxBodyBytes: number;
  #bodyBytes = 0;
  #session: Http2Session | undefined;
  #server: ClientHttp2Stream | undefined;
  /** Whether the client has been told that there is no answer. */
  #failed = false;
  #requestTrailers: Fields = {};
  #responseTrailers: Fields = {};

  constructor(
    client: ServerHttp2Stream,
    request: Http2Request,
    forwarding: Forwarding,
    destination: Destination,
    answers: Answers,
    masked: MaskedOrigin | undefined,
    maxBodyBytes = Number.POSITIVE_INFINITY,
  ) {
    this.#maxBodyBytes = maxBodyBytes;
    this.#masked = masked;
    this.#client = client;
    this.#request = request;
    this.#destination = destination;
    this.#answers = answers;
    this.#head = request.toHttp2(forwarding, destination.host);
  }

  start(): void {
    const { upstream } = this.#destination;
    const session = upstream.http2?.acquire();
    if (session === undefined) {
      this.#answers.refuse(upstream.fullRefusal());
      return;
    }
    this.#session = session;
    this.#client.on('close', () => this.#onClientClose());
    this.#client.on('aborted', () => this.#onClientClose());
    session.attach(this);
  }

  onSession(session: ClientHttp2Session): void {
    const client = this.#client;
    const endStream = client.endAfterHeaders;
    let server: ClientHttp2Stream;
    try {
      server = session.request(this.#head, { endStream, waitForTrailers: !endStream });
    } catch {
      // The server has ended the connection between this request and the one before.
      this.onFailure('broken');
      return;
    }
    this.#server = server;
    server.on('error', () => {});
    server.on('headers', (_headers, _flags, raw: string[]) => this.#onInterim(raw));
    server.on('response', (_headers, flags: number, raw: string[]) => this.#onResponse(raw, flags));
    server.on('trailers', (_headers, _flags, raw: string[]) => {
      this.#responseTrailers = fieldsByName(endToEndFields(raw));
    });
    server.on('data', (chunk: Buffer) => {
      if (!client.destroyed && !client.write(chunk)) server.pause();
    });
    server.on('end', () => {
      if (client.headersSent) client.end();
    });
    server.on('drain', () => client.resume());
    server.on('close', () => this.#onServerClose());
    client.on('drain', () => server.resume());
    if (endStream) {
      client.resume();
      return;
    }
    server.on('wantTrailers', () => server.sendTrailers(this.#requestTrailers));
    client.on('trailers', (_headers, _flags, raw: string[]) => {
      this.#requestTrailers = fieldsByName(endToEndFields(raw));
    });
    client.on('data', (chunk: Buffer) => {
      this.#bodyBytes += chunk.length;
      if (this.#bodyBytes > this.#maxBodyBytes) {
        this.#onLargeBody(server);
        return;
      }
      if (!server.destroyed && !server.write(chunk)) client.pause();
    });
    client.on('end', () => {
      if (!client.aborted) server.end();
    });
  }

  #onLargeBody(server: ClientHttp2Stream): void {
    if (this.#failed) return;
    this.#leave();
    this.#failed = true;
    server.close(constants.NGHTTP2_CANCEL);
    if (this.#client.headersSent) this.#reset(constants.NGHTTP2_ENHANCE_YOUR_CALM);
    else this.#answers.refuse({ code: 'body_too_large', limit: this.#maxBodyBytes });
  }

  #onInterim(raw: readonly string[]): void {
    if (this.#client.destroyed || this.#client.headersSent) return;
    this.#client.additionalHeaders(fieldsByName(endToEndFields(raw)));
  }

  #onResponse(raw: readonly string[], flags: number): void {
    const client = this.#client;
    if (client.destroyed || client.closed) return;
    this.#answers.answered(Number(raw[raw.indexOf(':status') + 1]) || 0);
    const endStream = (flags & constants.NGHTTP2_FLAG_END_STREAM) !== 0 || this.#request.method === 'HEAD';
    try {
      client.respond(withPublicLocation(endToEndFields(raw), this.#masked), { endStream, waitForTrailers: !endStream });
    } catch {
      // Two values of a field that HTTP/2 allows once: a fault of the server's.
      this.#reset(constants.NGHTTP2_INTERNAL_ERROR);
      return;
    }
    if (!endStream) client.on('wantTrailers', () => client.sendTrailers(this.#responseTrailers));
  }

  /** The client is gone, or has all of its answer. */
  #onClientClose(): void {
    const { rstCode } = this.#client;
    this.#leave();
    const server = this.#server;
    if (server === undefined || server.closed) return;
    server.close(rstCode === constants.NGHTTP2_NO_ERROR ? constants.NGHTTP2_CANCEL : rstCode);
  }

  #onServerClose(): void {
    this.#leave();
    const client = this.#client;
    const { rstCode } = this.#server!;
    if (this.#failed || client.destroyed || client.closed) return;
    if (!client.headersSent) this.#answers.refuse({ code: 'upstream_failed' });
    else if (rstCode !== constants.NGHTTP2_NO_ERROR || !this.#server!.readableEnded) this.#reset(rstCode);
    else this.#finish();
  }

  onFailure(failure: UpstreamFailure): void {
    this.#session = undefined;
    this.#failed = true;
    if (this.#client.headersSent) this.#reset(constants.NGHTTP2_INTERNAL_ERROR);
    else this.#answers.refuse(failureRefusal(failure, this.#destination.upstream.target));
  }

  onRouteGone(): void {
    this.#session = undefined;
    this.#failed = true;
    this.#reset(constants.NGHTTP2_INTERNAL_ERROR);
  }

  /** The answer is complete; a client that still sends may stop. */
  #finish(): void {
    const client = this.#client;
    if (client.readableEnded || client.endAfterHeaders) client.resume();
    else endEarly(client);
  }

  #reset(code: number): void {
    this.#client.close(code === constants.NGHTTP2_NO_ERROR ? constants.NGHTTP2_INTERNAL_ERROR : code);
  }

  #leave(): void {
    const session = this.#session;
    this.#session = undefined;
    session?.detach(this);
  }
}
