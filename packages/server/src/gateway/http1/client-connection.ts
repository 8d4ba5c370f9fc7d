// One HTTP/1.1 connection of a client. Requests are served one after the other, each routed by its own Host; the
// connection is itself the sink of the response, so that a request costs no object and no closure. Long because it is
// one state machine: head, exchange, tunnel, closing.

import { STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import { answerFor, type Refusal, type Reply } from '../answers/refusal.ts';
import type { Arrival, Client, GatewayContext } from '../context.ts';
import { publicScheme, trustedForwarding } from '../forwarded.ts';
import { limits } from '../limits.ts';
import { ReadBuffers, sharedBuffer } from '../read-buffers.ts';
import { readInto } from '../read-into.ts';
import type { RequestFacts } from '../routing/request-facts.ts';
import type { Destination, Held } from '../routing/route-table.ts';
import type { Waiter, WaitingRoom } from '../routing/waiting-room.ts';
import type { Expiring } from '../sweep.ts';
import { type StreamOwner, TcpStream } from '../tcp-stream.ts';
import { TlsStream } from '../tls-stream.ts';
import { failureRefusal } from '../upstream/failure.ts';
import type { ResponseSink, UpstreamFailure } from '../upstream/response-sink.ts';
import type { UpstreamConnection } from '../upstream/upstream-connection.ts';
import { alterRequest } from './alter-request.ts';
import { BodyReader } from './body.ts';
import { CR, findEmptyLine, LF } from './bytes.ts';
import { Parse } from './field-table.ts';
import { isRepeatable, REQUEST_MARGIN, writeRequestHead } from './forward-request.ts';
import { RESPONSE_MARGIN, writeResponseHead } from './forward-response.ts';
import { Framing } from './framing.ts';
import { OutBuffer } from './out-buffer.ts';
import { RequestHead } from './request-head.ts';
import type { ResponseHead } from './response-head.ts';
import { factsOfSentRequest } from './sent-request.ts';

const State = {
  /** Between requests, or within a request's head. */
  head: 0,
  /** From a request's head to the end of its response. */
  exchange: 1,
  /** After an upgrade: bytes both ways. */
  tunnel: 2,
  /** The last answer is on its way; what still comes is dropped. */
  closing: 3,
  gone: 4,
  /** The request waits for its sandbox, with what has come of it. */
  waiting: 5,
} as const;

/** Larger first parts of a body are written by themselves rather than copied behind the head. */
const JOINED_BODY = 16 * 1024;

// Used within one callback only, and therefore shared by all connections.
const head = new RequestHead();
const requests = new OutBuffer(16 * 1024);
const responses = new OutBuffer(256 * 1024);

export class ClientConnection implements ResponseSink, Expiring, Client, Waiter, StreamOwner {
  deadline = 0;
  readonly #socket: Socket | TcpStream | TlsStream;
  readonly #arrival: Arrival;
  readonly #context: GatewayContext;
  #state: number = State.head;
  /** Bytes that cannot be used yet: the start of a head, or requests behind the current one. */
  #held: Buffer | undefined;
  #paused = false;
  #clientEnded = false;

  // Of the current request.
  #minor = 1;
  #isHead = false;
  #startedAt = 0;
  /** For the access log. */
  #line: object | undefined;
  #isUpgrade = false;
  #keepAlive = false;
  /** By the client's own word. */
  #isLast = false;
  #repeatable = false;
  #responding = false;
  #upstreamEnded = false;
  #sentHead: Buffer | undefined;
  /** Of the request, where its server is under a masked name. */
  #publicOrigin: string | undefined;
  /** Of the body, with the framing of chunks, after what came with the head. */
  #bodyBytes = 0;
  #destination: Destination | undefined;
  #upstream: UpstreamConnection | undefined;
  #room: WaitingRoom | undefined;
  readonly #body = new BodyReader();
  readonly #buffers = new ReadBuffers();
  /** Whether the last read filled its buffer. */
  #fullRead = false;

  /** @param first the bytes that told the protocol, valid during the call only */
  constructor(socket: Socket | TcpStream | TlsStream, arrival: Arrival, context: GatewayContext, first?: Buffer) {
    this.#socket = socket;
    this.#arrival = arrival;
    this.#context = context;
    this.deadline = context.sweep.now + limits.firstBytesTime;
    context.clients.add(this);
    context.sweep.add(this);
    if (socket instanceof TcpStream || socket instanceof TlsStream) {
      socket.owner = this;
    } else {
      if (!readInto(socket, sharedBuffer, this)) socket.on('data', (chunk: Buffer) => this.#onData(chunk));
      socket.on('drain', () => this.onDrain());
      socket.on('end', () => this.onEnd());
      socket.on('error', () => {});
      socket.on('close', () => this.onClose());
    }
    if (first !== undefined) this.#consume(first, 0, first.length);
  }

  get decodes(): boolean {
    return this.#minor === 0;
  }

  finish(): void {
    if (this.#state === State.head && this.#held === undefined) this.destroy();
  }

  destroy(): void {
    this.#socket.destroy();
  }

  onDeadline(): void {
    if (this.#state === State.head && this.#held !== undefined) this.#refuse({ code: 'request_timeout' });
    else if (this.#state === State.exchange && this.#socket.writableLength > 0) this.#limitSilence();
    else this.destroy();
  }

  // --- From the client

  read(length: number, buf: Buffer): void {
    this.#fullRead = length === buf.length;
    if (this.#held === undefined) this.#consume(buf, 0, length);
    else this.#onData(buf.subarray(0, length));
  }

  next(): Buffer | undefined {
    const isBulk = (this.#state === State.exchange && !this.#body.done) || this.#state === State.tunnel;
    return this.#buffers.next(isBulk && this.#fullRead);
  }

  #onData(chunk: Buffer): void {
    let buf = chunk;
    if (this.#held !== undefined) {
      const known = this.#held.length;
      buf = Buffer.concat([this.#held, chunk]);
      this.#held = undefined;
      // A head that comes in drops is parsed once, not once a drop.
      if (this.#state === State.head && findEmptyLine(buf, Math.max(0, known - 3), buf.length) === -1) {
        this.#holdHead(buf, 0, buf.length);
        return;
      }
    }
    this.#consume(buf, 0, buf.length);
  }

  #consume(buf: Buffer, start: number, end: number): void {
    let pos = start;
    while (pos < end) {
      if (this.#state === State.head) {
        pos = this.#readHead(buf, pos, end);
        if (pos === -1) return;
      } else if (this.#state === State.exchange) {
        if (this.#body.done) {
          // The next request waits until this one is answered.
          this.#held = Buffer.from(buf.subarray(pos, end));
          this.#pause();
          return;
        }
        pos = this.#forwardBody(buf, pos, end);
      } else {
        if (this.#state === State.tunnel) this.#sendUp(buf, pos, end);
        if (this.#state === State.waiting) {
          // One read may have been on its way when the socket was paused.
          this.#held = Buffer.from(buf.subarray(pos, end));
          this.#pause();
        }
        return;
      }
    }
  }

  /** @returns where to go on, or -1 when there is nothing to go on with */
  #readHead(buf: Buffer, start: number, end: number): number {
    let pos = start;
    // RFC 9112, section 2.2: an empty line after the previous request is ignored.
    if (buf[pos] === CR && pos + 1 < end && buf[pos + 1] === LF) pos += 2;
    if (pos === end) return -1;
    if (this.#socket.writableLength > limits.writeBuffer) {
      this.#held = Buffer.from(buf.subarray(pos, end));
      this.#pause();
      return -1;
    }
    const bodyStart = head.read(buf, pos, end);
    if (bodyStart === Parse.incomplete) {
      this.#holdHead(buf, pos, end);
      return -1;
    }
    this.#isHead = false;
    if (bodyStart < 1) {
      this.#refuse(refusalOf(bodyStart));
      return -1;
    }
    return this.#startRequest(buf, bodyStart, end);
  }

  #holdHead(buf: Buffer, start: number, end: number): void {
    const begun = buf.subarray(start, end);
    if (begun.length > limits.headBytes) {
      this.#refuse({ code: begun.includes(LF) ? 'header_too_large' : 'uri_too_long' });
      return;
    }
    // A copy, because the rest of the buffer may be large, or is needed for the next read.
    this.#held = Buffer.from(begun);
    const latest = this.#headDeadline();
    if (this.deadline === 0 || this.deadline > latest) this.deadline = latest;
  }

  #headDeadline(): number {
    return this.#context.sweep.now + limits.headTime;
  }

  #startRequest(buf: Buffer, bodyStart: number, end: number): number {
    this.#state = State.exchange;
    this.deadline = 0;
    this.#minor = head.minor;
    this.#isHead = head.isHead;
    this.#isUpgrade = head.isUpgrade;
    this.#responding = false;
    this.#isLast = head.connection.close || (head.minor === 0 && !head.connection.keepAlive);
    this.#keepAlive = !this.#isLast && !this.#context.stopping;
    this.#body.begin(head.framing, head.contentLength);
    const bodyEnd = this.#body.read(buf, bodyStart, end);
    if (this.#body.failed) {
      this.#refuse({ code: 'malformed_request' }, head);
      return -1;
    }
    const { maxBodyBytes, observation } = this.#context;
    this.#startedAt = performance.now();
    if (observation?.logs) this.#line = observation.line(head, this.#arrival, `1.${head.minor}`);
    if (maxBodyBytes !== undefined && head.contentLength > maxBodyBytes) {
      this.#refuse({ code: 'body_too_large', limit: maxBodyBytes }, head);
      return -1;
    }
    if (this.#arrival.crowded) this.#keepAlive = false;
    this.#bodyBytes = 0;
    const destination = this.#context.router.route(head, this.#arrival);
    if ('room' in destination) return this.#wait(destination, buf, end) ? -1 : bodyEnd;
    if (!('upstream' in destination)) return this.#refuse(destination, head) ? bodyEnd : -1;

    this.#destination = destination;
    this.#publicOrigin = undefined;
    if (destination.alters) {
      if (destination.masksOrigin) this.#publicOrigin = `${publicScheme(this.#arrival, head)}://${head.host}`;
      alterRequest(head, destination);
    }
    this.#repeatable = isRepeatable(head);
    const upstream = destination.upstream.acquire(this, head.isHead, this.#repeatable);
    if (upstream === undefined) return this.#refuse(destination.upstream.fullRefusal(), head) ? bodyEnd : -1;
    this.#upstream = upstream;

    const bodyBytes = bodyEnd - bodyStart;
    const joined = bodyBytes <= JOINED_BODY;
    const headBytes = head.end - head.start + REQUEST_MARGIN + 2 * (head.hostEnd - head.hostStart);
    const said = this.#arrival.trusted ? trustedForwarding(this.#arrival, head) : undefined;
    const lines = said?.lines ?? this.#arrival.forwardedLines;
    const saidBytes = said === undefined ? 0 : lines.length + 2 * said.host.length;
    requests.begin(headBytes + saidBytes + (destination.host?.length ?? 0) + (joined ? bodyBytes : 0));
    writeRequestHead(requests, head, lines, destination.host, said?.host);
    const sentBytes = requests.pos;
    if (joined) requests.bytes(buf, bodyStart, bodyEnd);
    const start = requests.start;
    const message = requests.take();
    this.#sentHead = joined && bodyBytes > 0 ? message.subarray(0, sentBytes - start) : message;
    if (this.#body.done) upstream.finishRequest();
    const free = upstream.write(message);
    if (!joined) this.#sendUp(buf, bodyStart, bodyEnd);
    else if (!free && !this.#body.done && upstream.writableLength > 0) this.#pause();
    return bodyEnd;
  }

  /**
   * Has the request that was just read wait for its sandbox, unread from its head on.
   *
   * @returns false where it was refused and the connection goes on
   */
  #wait({ room, isPage }: Held, buf: Buffer, end: number): boolean {
    const refusal = room.enter(this, isPage);
    if (refusal !== undefined) return !this.#refuse(refusal, head);
    this.#state = State.waiting;
    this.#room = room;
    this.#held = Buffer.from(buf.subarray(head.start, end));
    this.#pause();
    return true;
  }

  onRoute(): void {
    this.#room = undefined;
    this.#state = State.head;
    this.#consumeHeld();
  }

  onWakeFailure(refusal: Refusal): void {
    this.#room = undefined;
    this.#keepAlive = false;
    const request = new RequestHead();
    const held = this.#held!;
    this.#refuse(refusal, request.read(held, 0, held.length) > 0 ? request : undefined);
  }

  #forwardBody(buf: Buffer, start: number, end: number): number {
    const pos = this.#body.read(buf, start, end);
    if (this.#body.failed) {
      this.#dropUpstream();
      if (this.#responding) this.#cutClient();
      else this.#refuse({ code: 'malformed_request' });
      return end;
    }
    this.#bodyBytes += pos - start;
    const { maxBodyBytes } = this.#context;
    if (maxBodyBytes !== undefined && this.#bodyBytes > maxBodyBytes) {
      this.#dropUpstream();
      if (this.#responding) this.#cutClient();
      else this.#refuse({ code: 'body_too_large', limit: maxBodyBytes });
      return end;
    }
    if (this.#upstream !== undefined) {
      this.#upstream.isLargeRequest = true;
      if (this.#body.done) this.#upstream.finishRequest();
    }
    this.#sendUp(buf, start, pos);
    return pos;
  }

  #sendUp(buf: Buffer, start: number, end: number): void {
    const upstream = this.#upstream;
    if (upstream === undefined || !upstream.writable || end === start) return;
    const isLast = this.#state === State.exchange && this.#body.done;
    if (!isLast && this.#buffers.owns(buf) && upstream.isDrained) {
      const write = this.#buffers.lend();
      upstream.socket.write(buf.subarray(start, end), () => this.#onLentWritten(write));
      if (upstream.writableLength === 0) return;
      this.#buffers.wait(write);
      this.#pause();
      return;
    }
    requests.begin(end - start);
    requests.bytes(buf, start, end);
    const free = upstream.writeFrom(requests);
    if (!free && !isLast && upstream.writableLength > 0) this.#pause();
  }

  #onLentWritten(write: number): void {
    if (this.#buffers.written(write)) this.#resume();
  }

  onDrain(): void {
    this.#upstream?.resume();
    if (this.#state === State.head && this.#held !== undefined) this.#consumeHeld();
  }

  /** The client has sent its last byte, and may still be reading. */
  onEnd(): void {
    this.#clientEnded = true;
    if (this.#state === State.tunnel) this.#upstream?.end();
    else if (this.#state === State.head) this.#socket.end();
    else if (this.#state === State.exchange && !this.#body.done) this.destroy();
    else this.#limitSilence();
  }

  /**
   * A client that has ended its half may read on, but mostly it is gone, which shows only when it is sent something: a
   * server that is silent for long would go on in vain.
   */
  #limitSilence(): void {
    if (this.#clientEnded && this.#state === State.exchange)
      this.deadline = this.#context.sweep.now + limits.halfClosedTime;
  }

  onClose(): void {
    this.#state = State.gone;
    this.#held = undefined;
    this.#buffers.release();
    this.#context.sweep.delete(this);
    this.#context.clients.delete(this);
    this.#room?.leave(this);
    this.#dropUpstream();
  }

  // --- From the server

  onInterim(response: ResponseHead): void {
    if (this.#minor === 0) return;
    responses.begin(response.end - response.start + RESPONSE_MARGIN);
    writeResponseHead(responses, response, false, '');
    responses.writeTo(this.#socket);
    this.#limitSilence();
  }

  onUpgrade(response: ResponseHead, buf: Buffer, start: number, end: number): void {
    if (!this.#isUpgrade) {
      this.#dropUpstream();
      this.onFailure('malformed');
      return;
    }
    this.#state = State.tunnel;
    this.deadline = 0;
    this.#responding = true;
    this.#upstreamEnded = false;
    this.#sentHead = undefined;
    this.#context.observation?.answered(1, response.status, this.#startedAt, this.#line);
    responses.begin(response.end - response.start + RESPONSE_MARGIN + end - start);
    writeResponseHead(responses, response, false, 'Upgrade');
    responses.bytes(buf, start, end);
    if (!responses.writeTo(this.#socket)) this.#upstream?.pause();
    const held = this.#held;
    this.#held = undefined;
    if (held !== undefined) {
      this.#resume();
      this.#sendUp(held, 0, held.length);
    }
    if (this.#clientEnded) this.#upstream?.end();
  }

  onResponse(response: ResponseHead, buf: Buffer, start: number, end: number, done: boolean): void {
    const chunked = response.framing === Framing.chunked && !this.decodes;
    const delimited = response.framing !== Framing.close && (response.framing !== Framing.chunked || chunked);
    if (!delimited || this.#context.stopping || (done && !this.#body.done)) this.#keepAlive = false;
    this.#responding = true;
    this.#sentHead = undefined;
    if (done) this.#upstream = undefined;
    const connection = this.#keepAlive ? (this.#minor === 0 ? 'keep-alive' : '') : 'close';
    this.#context.observation?.answered(1, response.status, this.#startedAt, this.#line);
    const origin = this.#publicOrigin;
    const masked = origin === undefined ? undefined : { host: this.#destination!.host!, origin };
    responses.begin(response.end - response.start + RESPONSE_MARGIN + (origin?.length ?? 0) + end - start);
    writeResponseHead(responses, response, chunked, connection, masked);
    responses.bytes(buf, start, end);
    if (!responses.writeTo(this.#socket)) this.#upstream?.pause();
    if (done) this.#finishResponse();
    else this.#limitSilence();
  }

  onBody(buf: Buffer, start: number, end: number, done: boolean): void {
    // A connection that is done serves somebody else by now; it is not to be paused for this client.
    if (done && this.#state !== State.tunnel) this.#upstream = undefined;
    if (!done && this.#upstream?.lends(buf) === true && this.#socket.writableLength === 0) {
      this.#upstream.lendTo(this.#socket, buf, start, end);
    } else if (end > start) {
      responses.begin(end - start);
      responses.bytes(buf, start, end);
      if (!responses.writeTo(this.#socket)) this.#upstream?.pause();
    }
    if (!done) {
      this.#limitSilence();
      return;
    }
    if (this.#state === State.tunnel) {
      this.#upstreamEnded = true;
      this.#socket.end();
    } else {
      this.#finishResponse();
    }
  }

  /** Only responses to HTTP/1.0 are decoded here, and those have no trailers. */
  onTrailer(): void {}

  onUpstreamDrain(): void {
    if (this.#state === State.tunnel || (this.#state === State.exchange && !this.#body.done)) this.#resume();
  }

  onRouteGone(): void {
    this.#upstream = undefined;
    this.#cutClient();
  }

  onFailure(failure: UpstreamFailure): void {
    const failed = this.#upstream;
    this.#upstream = undefined;
    if (this.#state === State.tunnel && this.#upstreamEnded) {
      this.#close();
    } else if (this.#responding) {
      this.#cutClient();
    } else if (failure === 'broken' && this.#repeatable && failed?.reused === true && !failed.responded) {
      this.#repeat();
    } else {
      this.#refuse(failureRefusal(failure, this.#destination!.upstream.target), factsOfSentRequest(this.#sentHead));
      if (this.#state === State.head) this.#next();
    }
  }

  /** The server closed an idle connection while the request was on its way to it. */
  #repeat(): void {
    const { upstream } = this.#destination!;
    this.#repeatable = false;
    this.#upstream = upstream.acquire(this, this.#isHead, true, true);
    if (this.#upstream === undefined) {
      this.#refuse(upstream.fullRefusal(), factsOfSentRequest(this.#sentHead));
      return;
    }
    this.#upstream.finishRequest();
    this.#upstream.write(this.#sentHead!);
  }

  // --- Ends of requests and of the connection

  #finishResponse(): void {
    if (!this.#keepAlive || !this.#body.done) {
      if (this.#isOver) this.#socket.destroy();
      else this.#close();
      return;
    }
    this.#toHead();
    this.#next();
  }

  /** Whether the client has said that it sends no more, and all that it is sent is on its way: nothing is to wait for. */
  get #isOver(): boolean {
    const socket = this.#socket;
    const isRead = this.#isLast && this.#body.done && this.#held === undefined;
    return isRead && socket === this.#arrival.tcp && socket.writableLength === 0;
  }

  #toHead(): void {
    this.#state = State.head;
    this.#sentHead = undefined;
    this.#destination = undefined;
    this.deadline = this.#context.sweep.now + limits.idleTime;
  }

  /** Goes on with what the client has sent meanwhile. */
  #next(): void {
    if (this.#held !== undefined) this.#consumeHeld();
    else if (this.#clientEnded) this.#socket.end();
    else if (this.#context.stopping) this.#close();
    else this.#resume();
  }

  #consumeHeld(): void {
    const held = this.#held!;
    this.#held = undefined;
    this.#resume();
    this.#consume(held, 0, held.length);
    if (!this.#clientEnded) return;
    if (this.#state === State.head) this.#socket.end();
    // The rest of this body will never come.
    else if (this.#state === State.exchange && !this.#body.done) this.destroy();
    else this.#limitSilence();
  }

  /**
   * Answers the request itself.
   *
   * @returns whether the connection serves further requests
   */
  #refuse(reply: Reply, request?: RequestFacts): boolean {
    const { status, contentType, body, headers } = answerFor(reply, request);
    // Of a head that could not be read nothing is known.
    const known = this.#state !== State.head;
    const startedAt = known ? this.#startedAt : performance.now();
    this.#context.observation?.answered(1, status, startedAt, known ? this.#line : undefined);
    const keep = this.#state === State.exchange && this.#keepAlive && this.#body.done && !this.#context.stopping;
    const bytes = Buffer.from(body);
    const connection = keep ? (this.#minor === 0 ? 'Connection: keep-alive\r\n' : '') : 'Connection: close\r\n';
    const head =
      `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}\r\nContent-Type: ${contentType}\r\n` +
      `Content-Length: ${bytes.length}\r\nX-Content-Type-Options: nosniff\r\n` +
      `${headers.map(([name, value]) => `${name}: ${value}\r\n`).join('')}${connection}\r\n`;
    this.#socket.write(this.#isHead ? Buffer.from(head) : Buffer.concat([Buffer.from(head), bytes]));
    if (keep) this.#toHead();
    else this.#close();
    return keep;
  }

  /** Ends the connection in order: the client gets all that was written, and what it still sends is dropped. */
  #close(): void {
    if (this.#state === State.closing || this.#state === State.gone) return;
    this.#state = State.closing;
    this.#held = undefined;
    this.#sentHead = undefined;
    this.#dropUpstream();
    this.deadline = this.#context.sweep.now + (this.#socket.writableLength > 0 ? limits.flushTime : limits.lingerTime);
    this.#socket.end();
    this.#resume();
  }

  /** Ends the connection so that the client cannot take it for the end of the response. */
  #cutClient(): void {
    this.#arrival.tcp.resetAndDestroy();
    if (this.#socket !== this.#arrival.tcp) this.#socket.destroy();
  }

  #pause(): void {
    this.#paused = true;
    this.#socket.pause();
  }

  #resume(): void {
    if (!this.#paused || this.#buffers.waiting) return;
    this.#paused = false;
    this.#socket.resume();
  }

  #dropUpstream(): void {
    const upstream = this.#upstream;
    this.#upstream = undefined;
    upstream?.abort();
  }
}

function refusalOf(fault: number): Refusal {
  switch (fault) {
    case Parse.tooLarge:
      return { code: 'header_too_large' };
    case Parse.uriTooLong:
      return { code: 'uri_too_long' };
    case Parse.notImplemented:
      return { code: 'not_implemented' };
    default:
      return { code: 'malformed_request' };
  }
}
