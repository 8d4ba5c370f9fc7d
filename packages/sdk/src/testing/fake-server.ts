// A server of a test, on a real socket: the API and the agent of one sandbox in one, answering as the test says.
import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { AGENT_PROTOCOL_VERSION } from '@sandport/protocol/agent-port';
import { encodeFrame, FLAG_END_STREAM, STREAM_CONTENT_TYPE } from '@sandport/protocol/connect';
import type { ProcessEvent } from '@sandport/protocol/process-rpc';

export const SANDBOX_ID = 'i0123456789abcdefghij';
export const API_KEY = `e2b_${'0'.repeat(40)}`;

export interface SeenRequest {
  /** Such as `POST /sandboxes`. */
  readonly route: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

export type Answer = (response: ServerResponse, request: SeenRequest) => void;

export class FakeServer implements AsyncDisposable {
  readonly seen: SeenRequest[] = [];
  connections = 0;
  readonly #answers = new Map<string, Answer>();
  readonly #server: Server;

  private constructor() {
    this.#server = createServer(async (request, response) => {
      const chunks: Buffer[] = [];
      for await (const chunk of request) chunks.push(chunk as Buffer);
      const route = `${request.method} ${request.url}`;
      const seen = { route, headers: request.headers, body: Buffer.concat(chunks) };
      this.seen.push(seen);
      const answer = this.#answers.get(route) ?? this.#answers.get(route.split('?')[0]!);
      if (answer === undefined) response.writeHead(500).end(`the test has no answer to ${route}`);
      else answer(response, seen);
    });
    this.#server.on('connection', () => this.connections++);
  }

  static async start(): Promise<FakeServer> {
    const fake = new FakeServer();
    fake.#server.listen(0, '127.0.0.1');
    await once(fake.#server, 'listening');
    const sandbox = {
      sandboxID: SANDBOX_ID,
      templateID: 'base',
      clientID: 'test',
      envdVersion: AGENT_PROTOCOL_VERSION,
      envdAccessToken: 'agent-token',
      domain: null,
    };
    fake.on('POST /sandboxes', json(201, sandbox));
    fake.on(`POST /sandboxes/${SANDBOX_ID}/connect`, json(200, sandbox));
    fake.on('GET /health', (response) => response.writeHead(204).end());
    return fake;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** Options that lead both kinds of requests here. */
  get options(): { apiKey: string; apiUrl: string; sandboxUrl: string; domain: string } {
    return { apiKey: API_KEY, apiUrl: this.url, sandboxUrl: this.url, domain: 'box.test:8443' };
  }

  on(route: string, answer: Answer): void {
    this.#answers.set(route, answer);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, 'close');
  }
}

export function json(status: number, body: unknown, headers: Record<string, string> = {}): Answer {
  return (response) =>
    response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body));
}

export function frame(event: ProcessEvent): Uint8Array {
  return encodeFrame(0, { event });
}

export const endFrame = encodeFrame(FLAG_END_STREAM, {});

export const start = frame({ start: { pid: 7 } });

export function stdout(text: string | Uint8Array): Uint8Array {
  return frame({ data: { stdout: Buffer.from(text).toString('base64') } });
}

export function stderr(text: string): Uint8Array {
  return frame({ data: { stderr: Buffer.from(text).toString('base64') } });
}

export function end(exitCode: number): Uint8Array {
  if (exitCode === 0) return frame({ end: { exited: true, status: 'exit status 0' } });
  const status = `exit status ${exitCode}`;
  return frame({ end: { exitCode, exited: true, status, error: status } });
}

/** A stream with these bytes, left open unless `finish` says otherwise. */
export function stream(pieces: readonly Uint8Array[], finish: 'end' | 'cut' | 'open' = 'end'): Answer {
  return (response) => {
    response.writeHead(200, { 'content-type': STREAM_CONTENT_TYPE });
    response.write(Buffer.concat(pieces), () => {
      if (finish === 'cut') response.destroy();
    });
    if (finish === 'end') response.end();
  };
}
