// For tests: servers as a sandbox would run them, on loopback addresses of their own.

import { once } from 'node:events';
import { createServer as createHttpServer, type Server as HttpServer, type RequestListener } from 'node:http';
import { createServer, type Server, type Socket } from 'node:net';
import { freePort } from './free-port.ts';

let last = 40;

/** An address that no other origin of this test process has. */
export function nextAddress(): string {
  return `127.0.${process.pid % 200}.${++last}`;
}

export class HttpOrigin implements AsyncDisposable {
  readonly address: string;
  readonly port: number;
  readonly server: HttpServer;
  /** TCP connections so far. */
  connections = 0;

  private constructor(address: string, port: number, server: HttpServer) {
    this.address = address;
    this.port = port;
    this.server = server;
    server.on('connection', () => {
      this.connections++;
    });
  }

  static async start(listener: RequestListener, address = nextAddress(), port?: number): Promise<HttpOrigin> {
    const server = createHttpServer(listener);
    const origin = new HttpOrigin(address, port ?? (await freePort(address)), server);
    server.listen(origin.port, address);
    await once(server, 'listening');
    return origin;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
  }
}

/** Answers with the body that it gets, and asks for it where the client waits to be asked. */
export class AskingOrigin {
  readonly origin: HttpOrigin;
  asked = false;

  private constructor(origin: HttpOrigin) {
    this.origin = origin;
    origin.server.on('checkContinue', (incoming, response) => {
      this.asked = true;
      response.writeContinue();
      incoming.pipe(response);
    });
  }

  static async start(): Promise<AskingOrigin> {
    return new AskingOrigin(await HttpOrigin.start((incoming, response) => incoming.pipe(response)));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.origin[Symbol.asyncDispose]();
  }
}

/** A server that speaks whatever the test has it speak. */
export class RawOrigin implements AsyncDisposable {
  readonly address: string;
  readonly port: number;
  readonly sockets = new Set<Socket>();
  readonly #server: Server;

  private constructor(address: string, port: number, server: Server) {
    this.address = address;
    this.port = port;
    this.#server = server;
  }

  static async start(onSocket: (socket: Socket, index: number) => void): Promise<RawOrigin> {
    const address = nextAddress();
    const port = await freePort(address);
    const server = createServer({ allowHalfOpen: true });
    const origin = new RawOrigin(address, port, server);
    let index = 0;
    server.on('connection', (socket) => {
      origin.sockets.add(socket);
      socket.on('error', () => {});
      socket.on('close', () => origin.sockets.delete(socket));
      onSocket(socket, index++);
    });
    server.listen(port, address);
    await once(server, 'listening');
    return origin;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.sockets) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}
