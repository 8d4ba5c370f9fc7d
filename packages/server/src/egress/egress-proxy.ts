// Takes the connections that the packet filter redirects, each under the rules of the sandbox that it comes from.
import { createServer, type Server } from 'node:net';
import type { Dialler } from './dialler.ts';
import type { Interceptor } from './interceptor.ts';
import { takeLightSockets } from './light-socket.ts';
import type { Destination } from './original-destination.ts';
import { type InnerSocket, ProxiedConnection } from './proxied-connection.ts';
import type { SandboxEgress } from './sandbox-egress.ts';

export interface EgressProxyOptions {
  readonly sandboxOf: (address: string) => SandboxEgress | undefined;
  readonly originalDestination: (socket: InnerSocket) => Destination | undefined;
  readonly dialler: Dialler;
  readonly interceptor: Interceptor;
  /** Of one sandbox at once. */
  readonly maxConnections: number;
}

export class EgressProxy {
  readonly #options: EgressProxyOptions;
  readonly #server: Server;
  #port = 0;

  constructor(options: EgressProxyOptions) {
    this.#options = options;
    this.#server = createServer({ pauseOnConnect: true, allowHalfOpen: true, noDelay: true, keepAlive: true });
    this.#server.on('connection', (socket) => this.#accept(socket));
  }

  async listen(port = 0): Promise<number> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(port, '0.0.0.0', 4096, resolve);
    });
    takeLightSockets(this.#server, (socket) => this.#accept(socket));
    this.#port = (this.#server.address() as { port: number }).port;
    return this.#port;
  }

  close(): Promise<void> {
    return new Promise((resolve) => void this.#server.close(() => resolve()));
  }

  #accept(socket: InnerSocket): void {
    const sandbox = this.#options.sandboxOf(socket.remoteAddress ?? '');
    const destination = this.#options.originalDestination(socket);
    // Without a redirection the destination is this listener itself.
    if (sandbox === undefined || destination === undefined || destination.port === this.#port) {
      socket.resetAndDestroy();
      return;
    }
    if (sandbox.connections.size >= this.#options.maxConnections) {
      sandbox.deny({ protocol: 'tcp', ...destination, reason: 'too many connections' });
      socket.resetAndDestroy();
      return;
    }
    const { dialler, interceptor } = this.#options;
    void new ProxiedConnection({ sandbox, socket, destination, dialler, interceptor }).run();
  }
}
