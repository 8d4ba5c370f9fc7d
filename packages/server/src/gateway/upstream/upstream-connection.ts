// One connection to a server in a sandbox (or to a service's socket), serving one request at a time.

import type { NetConnectOpts, Socket, SocketConstructorOpts } from 'node:net';
import { AGENT_PORT } from '@sandport/protocol/agent-port';
import { BodyReader } from '../http1/body.ts';
import type { ChunkData } from '../http1/chunked.ts';
import { Parse } from '../http1/field-table.ts';
import type { OutBuffer } from '../http1/out-buffer.ts';
import { ResponseHead } from '../http1/response-head.ts';
import { limits } from '../limits.ts';
import { ReadBuffers, sharedBuffer } from '../read-buffers.ts';
import type { Expiring, Sweep } from '../sweep.ts';
import type { TcpStream } from '../tcp-stream.ts';
import type { TlsStream } from '../tls-stream.ts';
import { TunnelAnswer, type TunnelTarget, tunnelRequest } from './loopback-tunnel.ts';
import type { ResponseSink, UpstreamFailure } from './response-sink.ts';
import { UpstreamSocket } from './upstream-socket.ts';

/** What owns a connection: takes it back when it is idle, and forgets it when it is gone. */
export interface ConnectionOwner {
  readonly sweep: Sweep;
  release(connection: UpstreamConnection): void;
  forget(connection: UpstreamConnection): void;
}

type Address = { readonly host: string; readonly port: number } | { readonly path: string };

const State = { head: 0, body: 1, tunnel: 2, gone: 3 } as const;

/** What is read from it is used before the callback ends. */
const head = new ResponseHead();
const NOTHING = Buffer.alloc(0);

export class UpstreamConnection implements Expiring, ChunkData {
  socket: Socket;
  readonly owner: ConnectionOwner;
  deadline: number;
  /** The time of the sweep at which it was last put back, and how long its server keeps it. */
  idleSince = 0;
  keepAliveTime = Infinity;
  /** Whether it has served a request before the current one. */
  reused = false;
  /** Whether the current request is more than a server has surely read when it answers with an error. */
  isLargeRequest = false;
  /** Whether a byte of the current response has come. */
  responded = false;
  readonly #isTcp: boolean;
  readonly #tunnel: TunnelTarget | undefined;
  /** The agent's answer, as long as it has not come. */
  #tunnelAnswer: TunnelAnswer | undefined;
  /** What is written before it is known where to: to the server itself, or through the agent's tunnel. */
  #held: (string | Buffer)[] | undefined;
  #heldBytes = 0;
  #endHeld = false;
  #connected = false;
  /** The server takes no more bytes, and may have answered before. */
  #deaf = false;
  #state: number = State.head;
  #sink: ResponseSink | undefined;
  #isHead = false;
  #requestSent = false;
  #interims = 0;
  #persistent = false;
  #partialHead: Buffer | undefined;
  readonly #body = new BodyReader();
  readonly #buffers = new ReadBuffers();
  /** Whether the last read filled its buffer. */
  #fullRead = false;

  /** @param tunnel how a server is reached that refuses connections from outside its own loopback */
  constructor(owner: ConnectionOwner, address: Address, tunnel: TunnelTarget | undefined) {
    this.owner = owner;
    this.deadline = owner.sweep.now + limits.connectTime + limits.sweepInterval;
    this.#isTcp = 'host' in address;
    this.#tunnel = tunnel;
    if (tunnel !== undefined) this.#held = [];
    this.socket = this.#dial(address);
    owner.sweep.add(this);
  }

  #dial(address: Address): Socket {
    let first: Buffer | undefined = sharedBuffer;
    const options: NetConnectOpts & SocketConstructorOpts = {
      ...address,
      allowHalfOpen: true,
      noDelay: true,
      keepAlive: true,
      keepAliveInitialDelay: limits.keepAliveProbe,
      onread: {
        // Node takes the first from it too, and keeps the one it has when there is none.
        buffer: (() => {
          const next = first ?? this.#nextBuffer();
          first = undefined;
          return next;
        }) as () => Buffer,
        callback: (length: number, buf: Uint8Array): boolean => {
          this.#fullRead = length === buf.length;
          this.#onBytes(buf as Buffer, 0, length);
          return true;
        },
      },
    };
    const socket = new UpstreamSocket(options, () => this.#onWriteError());
    socket.on('connect', () => {
      if (this.#tunnelAnswer === undefined) this.#onConnected();
      else socket.write(tunnelRequest(this.#tunnel!));
    });
    socket.on('drain', () => this.#sink?.onUpstreamDrain());
    socket.on('end', () => this.#onEnd());
    socket.on('error', (error: NodeJS.ErrnoException) => this.#onError(error));
    socket.on('close', () => {
      // A first attempt that was refused has made way for the tunnel.
      if (socket === this.socket) this.#fail('broken');
    });
    return socket;
  }

  #onConnected(): void {
    this.#connected = true;
    this.deadline = 0;
    const held = this.#held;
    if (held === undefined) return;
    this.#held = undefined;
    this.socket.cork();
    for (const data of held) this.write(data);
    if (this.#endHeld) this.socket.end();
    this.socket.uncork();
    if (this.#heldBytes >= limits.writeBuffer) this.#sink?.onUpstreamDrain();
  }

  /** @returns false when the other side is slow, and `onUpstreamDrain` will tell when to go on */
  write(data: string | Buffer): boolean {
    if (this.#deaf) return true;
    if (this.#held === undefined)
      return typeof data === 'string' ? this.socket.write(data, 'latin1') : this.socket.write(data);
    this.#held.push(data);
    this.#heldBytes += data.length;
    return this.#heldBytes < limits.writeBuffer;
  }

  /** Writes the message that `out` holds. */
  writeFrom(out: OutBuffer): boolean {
    return this.#held === undefined ? out.writeTo(this.socket) : this.write(out.take());
  }

  /** Whether all that was written has left the process. */
  get isDrained(): boolean {
    return this.#connected && this.#held === undefined && this.socket.writableLength === 0;
  }

  get writable(): boolean {
    return this.#held === undefined ? this.socket.writable : !this.#endHeld;
  }

  /** Bytes that are written and not yet on their way. */
  get writableLength(): number {
    return this.#held === undefined ? this.socket.writableLength : this.#heldBytes;
  }

  /** The client has sent its last byte. */
  end(): void {
    if (this.#held === undefined) this.socket.end();
    else this.#endHeld = true;
  }

  get sink(): ResponseSink | undefined {
    return this.#sink;
  }

  /** Starts a request. The bytes are the caller's to write, to `socket`. */
  begin(sink: ResponseSink, isHead: boolean): void {
    this.#sink = sink;
    this.#state = State.head;
    this.#isHead = isHead;
    this.#requestSent = false;
    this.#interims = 0;
    this.isLargeRequest = false;
    this.responded = false;
    if (this.#connected) this.deadline = 0;
  }

  /** The last byte of the request has been written. */
  finishRequest(): void {
    this.#requestSent = true;
  }

  pause(): void {
    this.socket.pause();
  }

  resume(): void {
    if (!this.#buffers.waiting) this.socket.resume();
  }

  /** Whether `buf` is this connection's own, so that its bytes can be lent to a writer. */
  lends(buf: Buffer): boolean {
    return this.#buffers.owns(buf);
  }

  /** Writes bytes of the own buffer as they are, and reads nothing more until they have left. */
  lendTo(client: Socket | TcpStream | TlsStream, buf: Buffer, start: number, end: number): void {
    const write = this.#buffers.lend();
    client.write(buf.subarray(start, end), () => {
      if (this.#buffers.written(write)) this.socket.resume();
    });
    if (client.writableLength === 0) return;
    this.#buffers.wait(write);
    this.socket.pause();
  }

  #nextBuffer(): Buffer | undefined {
    const isBulk = this.#state === State.tunnel || (this.#state === State.body && !this.#body.done);
    return this.#buffers.next(isBulk && this.#fullRead && this.#sink?.decodes === false);
  }

  /** The client is gone, or what it sends is no longer a request. */
  abort(): void {
    this.#sink = undefined;
    this.#close();
  }

  /** The sandbox is gone: cuts the connection, and lets the client see it. */
  cut(): void {
    const sink = this.#sink;
    this.abort();
    sink?.onRouteGone();
  }

  onDeadline(): void {
    this.#fail(this.#connected ? 'broken' : 'unreachable');
  }

  onChunkData(buf: Buffer, start: number, end: number): void {
    this.#sink?.onBody(buf, start, end, false);
  }

  #onBytes(buf: Buffer, start: number, end: number): void {
    if (this.#tunnelAnswer !== undefined) {
      const rest = this.#tunnelAnswer.read(buf.subarray(start, end));
      if (rest === 'incomplete') return;
      if (rest === 'refused') {
        this.#fail('refused');
        return;
      }
      this.#tunnelAnswer = undefined;
      this.#onConnected();
      buf = rest;
      start = 0;
      end = rest.length;
    }
    let pos = start;
    while (pos < end || this.#partialHead !== undefined) {
      if (this.#sink === undefined) {
        this.#close();
        return;
      }
      if (this.#state === State.head) {
        this.responded = true;
        if (this.#partialHead !== undefined) {
          buf = Buffer.concat([this.#partialHead, buf.subarray(pos, end)]);
          pos = 0;
          end = buf.length;
          this.#partialHead = undefined;
        }
        pos = this.#readHead(buf, pos, end);
        if (pos === -1) return;
      } else if (this.#state === State.body) {
        pos = this.#readBody(buf, pos, end);
      } else {
        if (this.#state === State.tunnel) this.#sink.onBody(buf, pos, end, false);
        return;
      }
    }
  }

  /** @returns where to go on, or -1 */
  #readHead(buf: Buffer, pos: number, end: number): number {
    const sink = this.#sink!;
    const bodyStart = head.read(buf, pos, end, this.#isHead);
    if (bodyStart === Parse.incomplete && end - pos <= limits.headBytes) {
      this.#partialHead = Buffer.from(buf.subarray(pos, end));
      return -1;
    }
    if (bodyStart < 1) {
      this.#fail('malformed');
      return -1;
    }
    if (head.status === 101) {
      this.#state = State.tunnel;
      sink.onUpgrade(head, buf, bodyStart, end);
      return -1;
    }
    if (head.status < 200) {
      if (++this.#interims > limits.interimResponses) {
        this.#fail('malformed');
        return -1;
      }
      sink.onInterim(head);
      return bodyStart;
    }
    // A server that refuses much may close without having read it all, though by now it is on its way.
    this.#persistent = head.persistent && (head.status < 400 || !this.isLargeRequest);
    this.keepAliveTime = head.keepAliveTimeout < 0 ? Infinity : head.keepAliveTimeout * 1000;
    this.#body.begin(head.framing, head.contentLength);
    this.#state = State.body;
    if (sink.decodes) {
      if (this.#body.done) this.#leave(bodyStart < end);
      sink.onResponse(head, buf, bodyStart, bodyStart, this.#body.done);
      return bodyStart;
    }
    const bodyEnd = this.#body.read(buf, bodyStart, end);
    if (this.#body.failed) {
      this.#fail('malformed');
      return -1;
    }
    if (this.#body.done) this.#leave(bodyEnd < end);
    sink.onResponse(head, buf, bodyStart, bodyEnd, this.#body.done);
    return this.#body.done ? end : bodyEnd;
  }

  #readBody(buf: Buffer, pos: number, end: number): number {
    const sink = this.#sink!;
    const bodyEnd = this.#body.read(buf, pos, end, sink.decodes ? this : undefined);
    if (this.#sink !== sink) return end;
    if (this.#body.failed) {
      this.#fail('malformed');
      return end;
    }
    const done = this.#body.done;
    if (!sink.decodes) {
      if (done) this.#leave(bodyEnd < end);
      sink.onBody(buf, pos, bodyEnd, done);
    } else if (done) {
      const trailer = this.#body.trailer;
      if (trailer !== undefined && trailer.length > 0) sink.onTrailer(trailer);
      this.#leave(bodyEnd < end);
      sink.onBody(NOTHING, 0, 0, true);
    }
    return done ? end : bodyEnd;
  }

  /** Parts from the request that is answered: back to the pool, or gone if anything is left over on either side. */
  #leave(surplus: boolean): void {
    this.#sink = undefined;
    if (surplus || this.#deaf || !this.#persistent || !this.#requestSent || this.socket.writableLength > 0) {
      this.#close();
    } else {
      this.#state = State.head;
      this.reused = true;
      this.socket.resume();
      this.owner.release(this);
    }
  }

  #onEnd(): void {
    const sink = this.#sink;
    if (sink !== undefined && this.#state === State.tunnel) {
      sink.onBody(NOTHING, 0, 0, true);
    } else if (sink !== undefined && this.#state === State.body && this.#body.endOfConnection()) {
      this.#sink = undefined;
      this.#close();
      sink.onBody(NOTHING, 0, 0, true);
    } else {
      this.#fail('broken');
    }
  }

  #onError(error: NodeJS.ErrnoException): void {
    if (this.#connected) this.#fail('broken');
    else if (error.code === 'ECONNREFUSED' && this.#tunnel !== undefined && this.#tunnelAnswer === undefined) {
      // Nobody listens on the sandbox's own address; somebody may on its loopback.
      this.#tunnelAnswer = new TunnelAnswer();
      this.socket = this.#dial({ host: this.#tunnel.host, port: AGENT_PORT });
    } else this.#fail(error.code === 'ECONNREFUSED' || error.code === 'ENOENT' ? 'refused' : 'unreachable');
  }

  /** @returns whether to go on reading: an answer may have come before the server hung up */
  #onWriteError(): boolean {
    if (this.#sink === undefined || !this.#connected) return false;
    this.#deaf = true;
    this.deadline = this.owner.sweep.now + limits.lingerTime;
    return true;
  }

  #fail(failure: UpstreamFailure): void {
    const sink = this.#sink;
    this.abort();
    sink?.onFailure(failure);
  }

  #close(): void {
    if (this.#state === State.gone) return;
    this.#state = State.gone;
    this.#partialHead = undefined;
    this.#buffers.release();
    this.owner.sweep.delete(this);
    this.owner.forget(this);
    // An end in order would let the server believe that it was heard to the end.
    if (this.#connected && this.#isTcp) this.socket.resetAndDestroy();
    else this.socket.destroy();
  }
}
