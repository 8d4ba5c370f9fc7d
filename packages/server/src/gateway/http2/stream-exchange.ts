// One HTTP/2 stream: its request goes to the server as HTTP/1.1, and the response comes back as HTTP/2; a WebSocket
// becomes a tunnel. What has to be HTTP/2 to the end is handed to a relay.

import { constants, type ServerHttp2Stream } from 'node:http2';
import { answerFor, type Refusal, type Reply } from '../answers/refusal.ts';
import type { Arrival, GatewayContext } from '../context.ts';
import { publicScheme, trustedForwarding } from '../forwarded.ts';
import { FieldTable } from '../http1/field-table.ts';
import { Framing } from '../http1/framing.ts';
import type { ResponseHead } from '../http1/response-head.ts';
import type { MaskedOrigin } from '../routing/masked-origin.ts';
import type { Destination } from '../routing/route-table.ts';
import type { Waiter, WaitingRoom } from '../routing/waiting-room.ts';
import { failureRefusal } from '../upstream/failure.ts';
import type { ResponseSink, UpstreamFailure } from '../upstream/response-sink.ts';
import type { UpstreamConnection } from '../upstream/upstream-connection.ts';
import { endEarly } from './end-early.ts';
import { Http2Relay } from './http2-relay.ts';
import { withPublicLocation } from './raw-fields.ts';
import { type Forwarding, Http2Request, trailerLines } from './request-translation.ts';
import { toHttp2Fields, toTrailers } from './response-translation.ts';
import { WebSocketHandshake } from './websocket-handshake.ts';

const trailerTable = new FieldTable();
/** Bytes of a body that a server may not have read when it answers with an error. */
const LARGE_BODY = 16 * 1024;

export class StreamExchange implements ResponseSink, Waiter {
  readonly decodes = true;
  readonly #stream: ServerHttp2Stream;
  readonly #arrival: Arrival;
  readonly #context: GatewayContext;
  #request: Http2Request;
  readonly #startedAt = performance.now();
  /** For the access log. */
  readonly #line: object | undefined;
  #destination: Destination | undefined;
  #upstream: UpstreamConnection | undefined;
  #room: WaitingRoom | undefined;
  #sentHead: Buffer | undefined;
  /** Where redirects are translated. */
  #masked: MaskedOrigin | undefined;
  #chunked = false;
  #bodyBytes = 0;
  #requestEnded = false;
  #requestTrailers: readonly string[] = [];
  #responding = false;
  #handshake: WebSocketHandshake | undefined;
  #tunnel = false;
  #upstreamEnded = false;
  #trailers: Record<string, string | string[]> = {};

  constructor(stream: ServerHttp2Stream, raw: readonly string[], arrival: Arrival, context: GatewayContext) {
    this.#stream = stream;
    this.#arrival = arrival;
    this.#context = context;
    this.#request = new Http2Request(raw);
    const { observation } = context;
    if (observation?.logs) this.#line = observation.line(this.#request, arrival, '2');
  }

  start(): void {
    const stream = this.#stream;
    stream.on('error', () => {});
    stream.on('close', () => this.#onClose());
    // A stream that is reset while it is paused closes only after it is read to its end.
    stream.on('aborted', () => {
      this.#onClose();
      stream.resume();
    });
    const { fault } = this.#request;
    if (fault !== undefined) {
      this.#refuse({ code: fault });
      return;
    }
    stream.on('trailers', (_headers, _flags, raw: string[]) => {
      this.#requestTrailers = raw;
    });
    this.onRoute();
  }

  /** Routes the request, also anew when it has waited for its sandbox. Until then nothing of its body is read. */
  onRoute(): void {
    const stream = this.#stream;
    this.#room = undefined;
    const { maxBodyBytes } = this.#context;
    if (maxBodyBytes !== undefined && this.#request.contentLength > maxBodyBytes) {
      this.#refuse({ code: 'body_too_large', limit: maxBodyBytes });
      return;
    }
    const destination = this.#context.router.route(this.#request, this.#arrival);
    if ('room' in destination) {
      const refusal = destination.room.enter(this, destination.isPage);
      if (refusal === undefined) this.#room = destination.room;
      else this.#refuse(refusal);
      return;
    }
    if (!('upstream' in destination)) {
      this.#refuse(destination);
      return;
    }
    this.#destination = destination;
    if (destination.masksOrigin) {
      const origin = `${publicScheme(this.#arrival, this.#request)}://${this.#request.host}`;
      this.#masked = { host: destination.host!, origin };
    }
    if (destination.alters) this.#request = this.#request.altered(destination);
    if ((this.#request.isGrpc || destination.http2) && destination.upstream.http2 !== undefined) {
      const refuse = (refusal: Refusal) => this.#refuse(refusal);
      const answered = (status: number) => this.#answered(status);
      const answers = { refuse, answered };
      const { maxBodyBytes } = this.#context;
      new Http2Relay(stream, this.#request, this.#forwarding, destination, answers, this.#masked, maxBodyBytes).start();
      return;
    }
    if (this.#request.isWebSocket) this.#handshake = new WebSocketHandshake();
    const { lines, host } = this.#forwarding;
    const forwarding = { lines: (this.#handshake?.lines ?? '') + lines, host };
    // What a client sends on a WebSocket is no body, and waits until the server has agreed.
    this.#requestEnded = stream.endAfterHeaders || this.#handshake !== undefined;
    this.#chunked = !this.#requestEnded && this.#request.contentLength === -1;
    this.#sentHead = this.#request.toHttp1(this.#chunked, forwarding, destination.host);
    if (!this.#send(false)) return;
    stream.on('drain', () => this.#upstream?.resume());
    if (this.#requestEnded) {
      if (this.#handshake === undefined) stream.resume();
      return;
    }
    stream.on('data', (chunk: Buffer) => this.#onData(chunk));
    stream.on('end', () => this.#onRequestEnd());
  }

  get #forwarding(): Forwarding {
    const arrival = this.#arrival;
    if (arrival.trusted) return trustedForwarding(arrival, this.#request);
    return { lines: arrival.forwardedLines, host: this.#request.host };
  }

  /** @returns whether the request is on its way */
  #send(fresh: boolean): boolean {
    const { upstream } = this.#destination!;
    const connection = upstream.acquire(this, this.#request.method === 'HEAD', this.#isRepeatable, fresh);
    if (connection === undefined) {
      this.#refuse(upstream.fullRefusal());
      return false;
    }
    this.#upstream = connection;
    if (this.#requestEnded) connection.finishRequest();
    connection.write(this.#sentHead!);
    return true;
  }

  get #isRepeatable(): boolean {
    return this.#stream.endAfterHeaders && (this.#request.method === 'GET' || this.#request.method === 'HEAD');
  }

  // --- From the client

  #onData(chunk: Buffer): void {
    const upstream = this.#upstream;
    if (upstream === undefined || chunk.length === 0) return;
    this.#bodyBytes += chunk.length;
    if (this.#bodyBytes > LARGE_BODY) upstream.isLargeRequest = true;
    if (!this.#chunked && this.#bodyBytes > this.#request.contentLength) {
      this.#reset(constants.NGHTTP2_PROTOCOL_ERROR);
      return;
    }
    const { maxBodyBytes } = this.#context;
    if (maxBodyBytes !== undefined && this.#bodyBytes > maxBodyBytes) {
      this.#onClose();
      if (this.#responding) this.#reset(constants.NGHTTP2_ENHANCE_YOUR_CALM);
      else this.#refuse({ code: 'body_too_large', limit: maxBodyBytes });
      return;
    }
    upstream.socket.cork();
    if (this.#chunked) upstream.write(`${chunk.length.toString(16)}\r\n`);
    let free = upstream.write(chunk);
    if (this.#chunked) free = upstream.write('\r\n');
    upstream.socket.uncork();
    if (!free && upstream.writableLength > 0) this.#stream.pause();
  }

  #onRequestEnd(): void {
    if (this.#requestEnded || this.#stream.aborted) return;
    const upstream = this.#upstream;
    if (upstream === undefined) return;
    if (!this.#chunked && this.#bodyBytes !== this.#request.contentLength) {
      this.#reset(constants.NGHTTP2_PROTOCOL_ERROR);
      return;
    }
    this.#requestEnded = true;
    upstream.finishRequest();
    if (this.#chunked) upstream.write(`0\r\n${trailerLines(this.#requestTrailers)}\r\n`);
  }

  /** Counts the answer, once: of streams, most end with the status that was sent first. */
  #answered(status: number): void {
    this.#context.observation?.answered(2, status, this.#startedAt, this.#line);
  }

  #onClose(): void {
    this.#room?.leave(this);
    const upstream = this.#upstream;
    this.#upstream = undefined;
    upstream?.abort();
  }

  onWakeFailure(refusal: Refusal): void {
    this.#room = undefined;
    this.#refuse(refusal);
  }

  // --- From the server

  onInterim(response: ResponseHead): void {
    if (this.#stream.destroyed || this.#stream.headersSent) return;
    const fields: Record<string, string | string[]> = {};
    const list = toHttp2Fields(response);
    for (let i = 0; i < list.length; i += 2) {
      const known = fields[list[i]!];
      fields[list[i]!] = known === undefined ? list[i + 1]! : [known, list[i + 1]!].flat();
    }
    this.#stream.additionalHeaders(fields);
  }

  onUpgrade(response: ResponseHead, buf: Buffer, start: number, end: number): void {
    const stream = this.#stream;
    const answer = this.#handshake?.accept(response);
    if (answer === undefined) {
      this.#onClose();
      this.onFailure('malformed');
      return;
    }
    this.#responding = true;
    this.#tunnel = true;
    this.#sentHead = undefined;
    if (stream.destroyed || stream.closed) return;
    this.#answered(200);
    stream.respond(answer);
    this.onBody(buf, start, end, false);
    stream.on('data', (chunk: Buffer) => {
      const upstream = this.#upstream;
      if (upstream?.writable !== true || chunk.length === 0) return;
      if (!upstream.write(chunk) && upstream.writableLength > 0) stream.pause();
    });
    stream.on('end', () => {
      if (!stream.aborted) this.#upstream?.end();
    });
  }

  onResponse(response: ResponseHead, _buf: Buffer, _start: number, _end: number, done: boolean): void {
    this.#responding = true;
    this.#sentHead = undefined;
    if (done) this.#upstream = undefined;
    if (this.#stream.destroyed || this.#stream.closed) return;
    this.#answered(response.status);
    const waitForTrailers = !done && response.framing === Framing.chunked;
    try {
      const fields = withPublicLocation(toHttp2Fields(response), this.#masked);
      this.#stream.respond(fields, { endStream: done, waitForTrailers });
    } catch {
      // Two values of a field that HTTP/2 allows once: a fault of the server's.
      this.#reset(constants.NGHTTP2_INTERNAL_ERROR);
      return;
    }
    if (waitForTrailers) this.#stream.on('wantTrailers', () => this.#stream.sendTrailers(this.#trailers));
    if (done) this.#finish();
  }

  onBody(buf: Buffer, start: number, end: number, done: boolean): void {
    if (end > start && !this.#stream.destroyed) {
      const free = this.#stream.write(Buffer.from(buf.subarray(start, end)));
      if (!free) this.#upstream?.pause();
    }
    if (!done) return;
    if (this.#tunnel) {
      // The other direction may still be open.
      this.#upstreamEnded = true;
      this.#stream.end();
      return;
    }
    this.#upstream = undefined;
    this.#stream.end();
    this.#finish();
  }

  onTrailer(section: Buffer): void {
    this.#trailers = toTrailers(section, trailerTable);
  }

  onUpstreamDrain(): void {
    if (!this.#requestEnded || this.#tunnel) this.#stream.resume();
  }

  onRouteGone(): void {
    this.#upstream = undefined;
    this.#reset(constants.NGHTTP2_INTERNAL_ERROR);
  }

  onFailure(failure: UpstreamFailure): void {
    const failed = this.#upstream;
    this.#upstream = undefined;
    if (this.#upstreamEnded) {
      this.#stream.close(constants.NGHTTP2_NO_ERROR);
    } else if (this.#responding) {
      this.#reset(constants.NGHTTP2_INTERNAL_ERROR);
    } else if (failure === 'broken' && this.#isRepeatable && failed?.reused === true && !failed.responded) {
      this.#send(true);
    } else {
      this.#refuse(failureRefusal(failure, this.#destination!.upstream.target));
    }
  }

  // --- Ends of the stream

  /** The response is complete; a client that still sends its request may stop. */
  #finish(): void {
    if ((this.#requestEnded && this.#handshake === undefined) || this.#stream.endAfterHeaders) return;
    endEarly(this.#stream);
  }

  #refuse(reply: Reply): void {
    const stream = this.#stream;
    if (stream.destroyed || stream.closed) return;
    const { status, contentType, body, headers } = answerFor(reply, this.#request);
    this.#answered(status);
    const bytes = Buffer.from(body);
    stream.respond(
      {
        ':status': status,
        'content-type': contentType,
        'content-length': bytes.length,
        'x-content-type-options': 'nosniff',
        ...Object.fromEntries(headers.map(([name, value]) => [name.toLowerCase(), value])),
      },
      { endStream: this.#request.method === 'HEAD' },
    );
    if (this.#request.method !== 'HEAD') stream.end(bytes);
    this.#finish();
  }

  /** Ends the stream so that the client cannot take it for the end of the response. */
  #reset(code: number): void {
    this.#onClose();
    this.#stream.close(code);
  }
}
