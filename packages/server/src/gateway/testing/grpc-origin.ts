// For tests: a gRPC server as far as a gateway can tell, on `node:http2` without TLS, with the framing by hand.

import { once } from 'node:events';
import { createServer, type Http2Server, type IncomingHttpHeaders, type ServerHttp2Stream } from 'node:http2';
import type { AddressInfo, Socket } from 'node:net';
import { nextAddress } from './origin.ts';

/** One message in gRPC's framing. */
export function grpcFrame(message: string): Buffer {
  const head = Buffer.alloc(5);
  head.writeUInt32BE(Buffer.byteLength(message), 1);
  return Buffer.concat([head, Buffer.from(message)]);
}

/** Takes complete messages out of what has come. */
export class GrpcReader {
  #rest: Buffer = Buffer.alloc(0);

  read(chunk: Buffer): string[] {
    this.#rest = Buffer.concat([this.#rest, chunk]);
    const messages: string[] = [];
    while (this.#rest.length >= 5 && this.#rest.length >= 5 + this.#rest.readUInt32BE(1)) {
      const end = 5 + this.#rest.readUInt32BE(1);
      messages.push(this.#rest.toString('utf8', 5, end));
      this.#rest = this.#rest.subarray(end);
    }
    return messages;
  }
}

/**
 * `/echo` answers each message as it comes, `/fail` with trailers only, `/wait` not before it is cancelled, `/headers`
 * with what the request said.
 */
export class GrpcOrigin implements AsyncDisposable {
  readonly address: string;
  readonly port: number;
  readonly server: Http2Server;
  readonly sockets = new Set<Socket>();
  /** TCP connections so far. */
  connections = 0;
  /** RST_STREAM codes of cancelled requests. */
  readonly cancelled: number[] = [];

  private constructor(address: string, port: number, server: Http2Server) {
    this.address = address;
    this.port = port;
    this.server = server;
    server.on('connection', (socket: Socket) => {
      this.connections++;
      this.sockets.add(socket);
      socket.on('close', () => this.sockets.delete(socket));
    });
    server.on('sessionError', () => {});
    server.on('stream', (stream, headers) => this.#onStream(stream, headers));
  }

  static async start(address = nextAddress(), port = 0): Promise<GrpcOrigin> {
    const server = createServer();
    server.listen(port, address);
    await once(server, 'listening');
    return new GrpcOrigin(address, (server.address() as AddressInfo).port, server);
  }

  #onStream(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): void {
    stream.on('error', () => {});
    stream.on('aborted', () => this.cancelled.push(stream.rstCode));
    const answer = { ':status': 200, 'content-type': 'application/grpc' };
    if (headers[':path'] === '/fail') {
      stream.respond({ ...answer, 'grpc-status': '5', 'grpc-message': 'not found' }, { endStream: true });
      return;
    }
    stream.respond(answer, { waitForTrailers: true });
    if (headers[':path'] === '/wait') return;
    stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0', 'x-trailer': ['one', 'two'] }));
    if (headers[':path'] === '/headers') {
      stream.end(grpcFrame(JSON.stringify(headers)));
      return;
    }
    const reader = new GrpcReader();
    stream.on('data', (chunk: Buffer) => {
      for (const message of reader.read(chunk)) stream.write(grpcFrame(message));
    });
    stream.on('end', () => stream.end());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.sockets) socket.destroy();
    await new Promise((resolve) => this.server.close(resolve));
  }
}
