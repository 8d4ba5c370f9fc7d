// Requests of connections that are read and not only passed on: each is checked to name the host that the connection
// is for, gets the headers of the sandbox's rules, and goes to that host. Upstream certificates are verified.
import {
  Agent,
  type ClientRequest,
  createServer,
  type IncomingMessage,
  type RequestOptions,
  type Server,
  type ServerResponse,
  request as sendRequest,
} from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { connect as connectTls, TLSSocket } from 'node:tls';
import { readHostName } from './domain-pattern.ts';
import { EarlyBytes } from './early-bytes.ts';
import type { LeafCertificates } from './leaf-certificates.ts';
import type { SandboxEgress } from './sandbox-egress.ts';

const HANDSHAKE_MS = 10_000;
const HEAD_MS = 30_000;
const IDLE_MS = 620_000;
const CHECK_MS = 5000;
/** For a client that has been answered to have the answer, and to close. */
const LINGER_MS = 1000;
const MAX_HEAD = 65_536;
/** Requests of one connection that are sent before the first of them is answered. */
const MAX_PIPELINED = 32;
/** RFC 9110, section 7.6.1, and what only a proxy is told. */
const HOP_BY_HOP = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'proxy-authorization',
  'proxy-authenticate',
  'te',
  'transfer-encoding',
  'upgrade',
  'expect',
]);

export interface Interception {
  readonly sandbox: SandboxEgress;
  readonly socket: Socket;
  /** Of the host that the connection is for. */
  readonly name: string;
  readonly isSecure: boolean;
  readonly port: number;
  /** Whether requests get the headers of the sandbox's rules. */
  readonly transforms: boolean;
  readonly dial: () => Promise<Socket>;
}

interface Exchange extends Interception {
  readonly agent: Agent;
  /** Requests that are not answered yet. */
  pending: number;
}

export interface InterceptorTimes {
  /** For either side to agree on TLS. */
  readonly handshakeMs: number;
  /** From a connection or the last byte of a request to the last byte of the next head. */
  readonly headMs: number;
  /** How often that is looked at. */
  readonly checkMs: number;
  /** Without a byte in either direction. */
  readonly idleMs: number;
}

const TIMES: InterceptorTimes = { handshakeMs: HANDSHAKE_MS, headMs: HEAD_MS, checkMs: CHECK_MS, idleMs: IDLE_MS };

export class Interceptor {
  readonly #certificates: LeafCertificates;
  readonly #exchanges = new WeakMap<object, Exchange>();
  readonly #server: Server;
  readonly #handshakeMs: number;
  readonly #idleMs: number;

  constructor(certificates: LeafCertificates, { handshakeMs, headMs, checkMs, idleMs }: InterceptorTimes = TIMES) {
    this.#certificates = certificates;
    this.#handshakeMs = handshakeMs;
    this.#idleMs = idleMs;
    this.#server = createServer({
      headersTimeout: headMs,
      connectionsCheckingInterval: checkMs,
      requestTimeout: 0,
      keepAliveTimeout: idleMs,
      maxHeaderSize: MAX_HEAD,
      joinDuplicateHeaders: false,
    });
    this.#server.timeout = idleMs;
    // It never listens, and looks at the times of its connections from when it does.
    this.#server.emit('listening');
    this.#server.on('request', (request, response) => this.#onRequest(request, response));
    this.#server.on('checkContinue', (request, response) => {
      response.writeContinue();
      this.#onRequest(request, response);
    });
    this.#server.on('upgrade', (request, socket, head) => this.#onUpgrade(request, socket, head));
    this.#server.on('connect', (_request, socket) => socket.destroy());
    this.#server.on('clientError', (_error, socket) => socket.destroy());
  }

  /** Resolves when the connection is closed. */
  async serve(interception: Interception): Promise<void> {
    const { socket, name, isSecure, sandbox } = interception;
    const closed = new Promise<void>((resolve) => {
      socket.once('close', () => {
        sandbox.traffic.sentBytes += socket.bytesRead;
        sandbox.traffic.receivedBytes += socket.bytesWritten;
        resolve();
      });
    });
    const agent = new UpstreamAgent(interception, this.#handshakeMs);
    const exchange: Exchange = { ...interception, agent, pending: 0 };
    try {
      const plain = isSecure ? await this.#decrypt(socket, sandbox, name) : socket;
      if (plain === undefined) return;
      this.#exchanges.set(plain, exchange);
      this.#server.emit('connection', plain);
      // Node's parser reads past the stream, and so past the bytes that were put back, until someone else listens. The
      // stream was paused when they were read, and stays so until it is told.
      plain.on('data', () => {});
      plain.resume();
      await closed;
    } finally {
      agent.destroy();
    }
  }

  async #decrypt(socket: Socket, sandbox: SandboxEgress, name: string): Promise<TLSSocket | undefined> {
    const { authority } = sandbox.policy;
    if (authority === undefined) throw new Error('the sandbox has no authority');
    const secureContext = await this.#certificates.contextOf(authority, name);
    // It would never close again, and be kept for good.
    if (socket.destroyed) return undefined;
    const secure = new TLSSocket(socket, { isServer: true, secureContext, ALPNProtocols: ['http/1.1'] });
    return new Promise((resolve) => {
      const timer = setTimeout(() => socket.destroy(), this.#handshakeMs);
      secure.on('error', () => socket.destroy());
      socket.once('close', () => {
        clearTimeout(timer);
        secure.destroy();
        resolve(undefined);
      });
      secure.once('secure', () => {
        clearTimeout(timer);
        resolve(secure);
      });
    });
  }

  #onRequest(request: IncomingMessage, response: ServerResponse): void {
    const exchange = this.#exchanges.get(request.socket);
    const fault = exchange === undefined ? 'no such connection' : faultOf(exchange, request);
    if (exchange === undefined || fault !== undefined) {
      answer(response, 421, fault ?? '');
      return;
    }
    // Those that were read with the last one are told of all the same.
    if (exchange.socket.destroyed) return;
    if (++exchange.pending > MAX_PIPELINED) {
      exchange.socket.destroy();
      return;
    }
    response.once('close', () => exchange.pending--);
    this.#exchange(exchange, request, response);
  }

  #exchange(exchange: Exchange, request: IncomingMessage, response: ServerResponse): void {
    const upstream = send(exchange, request, outgoingHeaders(exchange, request));
    const onClose = (): void => {
      if (!response.writableFinished) upstream.destroy();
    };
    upstream.on('response', (incoming) => {
      response.sendDate = false;
      try {
        response.writeHead(incoming.statusCode!, incoming.statusMessage, forwardedHeaders(incoming));
      } catch (error) {
        // A status or a text of it that can be read, and not be sent.
        upstream.destroy();
        response.statusMessage = '';
        answer(response, 502, `the host's answer cannot be passed on: ${(error as Error).message}`);
        return;
      }
      incoming.pipe(response);
      incoming.on('aborted', () => response.destroy());
    });
    upstream.on('upgrade', (_incoming, socket) => {
      socket.destroy();
      response.destroy();
    });
    upstream.on('error', (error) => {
      response.off('close', onClose);
      if (response.headersSent) response.destroy();
      // The host closed a connection that it had kept just as it was used again (RFC 9110, section 9.2.2).
      else if (upstream.reusedSocket && isRepeatable(request) && !response.destroyed)
        this.#exchange(exchange, request, response);
      else answer(response, 502, error.message);
    });
    response.on('close', onClose);
    if (isRepeatable(request)) upstream.end();
    else request.pipe(upstream);
  }

  #onUpgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    const exchange = this.#exchanges.get(request.socket);
    socket.on('error', () => {});
    // A tunnel of another HTTP would carry requests past every check made here.
    const isWebSocket = request.headers.upgrade?.toLowerCase() === 'websocket';
    if (exchange === undefined || !isWebSocket || faultOf(exchange, request) !== undefined) {
      socket.destroy();
      return;
    }
    const early = new EarlyBytes(request.socket, head, this.#idleMs);
    const headers = outgoingHeaders(exchange, request);
    const upstream = send(exchange, request, [...headers, 'Connection', 'Upgrade', 'Upgrade', 'websocket']);
    upstream.on('error', () => socket.destroy());
    upstream.on('response', (incoming) => {
      // The host goes on without; what the sandbox has sent after the request is in no one's protocol.
      early.take();
      socket.end(headText(incoming));
      // Nobody reads it any more: its end would not be noticed behind what it has sent.
      socket.resume();
      const timer = setTimeout(() => socket.destroy(), LINGER_MS);
      socket.once('close', () => clearTimeout(timer));
      incoming.resume();
    });
    upstream.on('upgrade', (incoming, outer, rest) => {
      socket.write(headText(incoming));
      if (rest.length > 0) socket.write(rest);
      const bytes = early.take();
      if (bytes.length > 0) outer.write(bytes);
      outer.on('error', () => socket.destroy());
      outer.on('close', () => socket.destroy());
      socket.on('close', () => outer.destroy());
      outer.pipe(socket).pipe(outer);
    });
    upstream.end();
  }
}

/** One connection to the host for each connection of the sandbox, more only where requests overlap. */
class UpstreamAgent extends Agent {
  readonly #interception: Interception;
  readonly #handshakeMs: number;
  /** Connections that are not yet agreed on, which nobody else knows of. */
  readonly #opening = new Set<Duplex>();
  #isEnded = false;

  constructor(interception: Interception, handshakeMs: number) {
    super({ keepAlive: true, maxSockets: 4 });
    this.#interception = interception;
    this.#handshakeMs = handshakeMs;
  }

  override destroy(): void {
    this.#isEnded = true;
    for (const socket of this.#opening) socket.destroy();
    super.destroy();
  }

  override createConnection(
    _options: object,
    callback: (error: Error | null, socket: Duplex) => void,
  ): Duplex | null | undefined {
    const fail = (error: Error): void => callback(error, undefined as unknown as Duplex);
    this.#open().then((socket) => callback(null, socket), fail);
    return undefined;
  }

  async #open(): Promise<Duplex> {
    const { dial, isSecure } = this.#interception;
    const socket = await dial();
    try {
      if (this.#isEnded) throw new Error('the connection has ended');
      return isSecure ? await this.#encrypt(socket) : socket.resume();
    } catch (error) {
      socket.destroy();
      throw error;
    }
  }

  async #encrypt(socket: Socket): Promise<Duplex> {
    const servername = this.#interception.name;
    const secure = connectTls({ socket, servername, ALPNProtocols: ['http/1.1'], rejectUnauthorized: true });
    const late = (): void => void secure.destroy(new Error('the host did not agree on TLS in time'));
    const timer = setTimeout(late, this.#handshakeMs);
    this.#opening.add(secure);
    try {
      await new Promise<void>((resolve, reject) => {
        secure.once('secureConnect', resolve);
        secure.on('error', reject);
        secure.once('close', () => reject(new Error('the host closed the connection')));
      });
      if (this.#isEnded) throw new Error('the connection has ended');
      return secure;
    } catch (error) {
      secure.destroy();
      throw error;
    } finally {
      clearTimeout(timer);
      this.#opening.delete(secure);
    }
  }
}

function send({ agent }: Exchange, { method, url }: IncomingMessage, headers: string[]): ClientRequest {
  const options: RequestOptions = { agent, headers, setHost: false };
  if (method !== undefined) options.method = method;
  if (url !== undefined) options.path = url;
  return sendRequest(options);
}

/** Why a request is not passed on; undefined when it is. */
function faultOf({ name, port, isSecure }: Exchange, request: IncomingMessage): string | undefined {
  const hosts = request.rawHeaders.filter((field, index) => index % 2 === 0 && field.toLowerCase() === 'host');
  const match = /^([^:]+)(?::(\d{1,5}))?$/.exec(request.headers.host ?? '');
  const asked = match?.[2] === undefined ? (isSecure ? 443 : 80) : Number(match[2]);
  const isOwn = hosts.length === 1 && readHostName(match?.[1] ?? '') === name;
  if (!isOwn || (asked !== port && match?.[2] !== undefined)) return `this connection is for ${name} only`;
  if (request.method === 'TRACE') return 'a request that is sent back would show its headers';
  return request.url?.startsWith('/') || request.url === '*' ? undefined : 'the target has to be a path';
}

/** Whether it does no harm, and takes nothing that is gone, to send a request twice. */
function isRepeatable({ method, headers }: IncomingMessage): boolean {
  const hasBody = headers['content-length'] !== undefined || headers['transfer-encoding'] !== undefined;
  return (method === 'GET' || method === 'HEAD') && !hasBody;
}

function outgoingHeaders({ sandbox, name, transforms }: Exchange, request: IncomingMessage): string[] {
  const added = transforms ? Object.entries(sandbox.transformOf(name)?.headers ?? {}) : [];
  const replaced = new Set(added.map(([field]) => asOneName(field)));
  const headers: string[] = [];
  const named = connectionOptions(request);
  for (let index = 0; index < request.rawHeaders.length; index += 2) {
    const field = request.rawHeaders[index]!;
    const key = field.toLowerCase();
    if (!HOP_BY_HOP.has(key) && !named.has(key) && !replaced.has(asOneName(field)))
      headers.push(field, request.rawHeaders[index + 1]!);
  }
  // Node frames the body again: as it came, by length or in chunks.
  if (request.headers['transfer-encoding'] !== undefined) headers.push('Transfer-Encoding', 'chunked');
  return [...headers, ...added.flat()];
}

/** Servers that hand fields on as variables (RFC 3875, section 4.1.18) take `X_Key` for the same as `X-Key`. */
function asOneName(field: string): string {
  return field.toLowerCase().replaceAll('_', '-');
}

function forwardedHeaders(incoming: IncomingMessage): string[] {
  const named = connectionOptions(incoming);
  const headers: string[] = [];
  for (let index = 0; index < incoming.rawHeaders.length; index += 2) {
    const key = incoming.rawHeaders[index]!.toLowerCase();
    if (!HOP_BY_HOP.has(key) && !named.has(key))
      headers.push(incoming.rawHeaders[index]!, incoming.rawHeaders[index + 1]!);
  }
  return headers;
}

/** Fields that the Connection field names, but for those without which a message is another. */
function connectionOptions(message: IncomingMessage): Set<string> {
  const options = (message.headers.connection ?? '').toLowerCase().split(',');
  return new Set(
    options.map((option) => option.trim()).filter((option) => !['host', 'content-length'].includes(option)),
  );
}

function headText(incoming: IncomingMessage): string {
  const lines = [`HTTP/1.1 ${incoming.statusCode} ${incoming.statusMessage}`];
  for (let index = 0; index < incoming.rawHeaders.length; index += 2) {
    lines.push(`${incoming.rawHeaders[index]}: ${incoming.rawHeaders[index + 1]}`);
  }
  return `${lines.join('\r\n')}\r\n\r\n`;
}

function answer(response: ServerResponse, status: number, text: string): void {
  const body = `${text}\n`;
  const headers = { 'content-type': 'text/plain; charset=utf-8', 'content-length': Buffer.byteLength(body) };
  response.writeHead(status, { ...headers, connection: 'close' }).end(body);
}
