// Takes the connections that the packet filter redirects, each under the rules of the sandbox that it comes from.
import type { Dialler } from './dialler.ts';
import type { Interceptor } from './interceptor.ts';
import { LightListener } from './light-listener.ts';
import type { LightSocket } from './light-socket.ts';
import type { Destination } from './original-destination.ts';
import { ProxiedConnection } from './proxied-connection.ts';
import type { SandboxEgress } from './sandbox-egress.ts';

export interface EgressProxyOptions {
  readonly sandboxOf: (address: string) => SandboxEgress | undefined;
  readonly originalDestination: (socket: LightSocket) => Destination | undefined;
  readonly dialler: Dialler;
  readonly interceptor: Interceptor;
  /** Of one sandbox at once. */
  readonly maxConnections: number;
}

export class EgressProxy {
  readonly #options: EgressProxyOptions;
  #listener: LightListener | undefined;

  constructor(options: EgressProxyOptions) {
    this.#options = options;
  }

  /**
   * Returns the port.
   *
   * @param port 0: any
   * @throws Error when it is taken
   */
  listen(port = 0): number {
    this.#listener = new LightListener('0.0.0.0', port, (socket) => this.#accept(socket));
    return this.#listener.port;
  }

  /** Takes no more; those that it has go on. */
  close(): void {
    this.#listener?.close();
  }

  #accept(socket: LightSocket): void {
    const sandbox = this.#options.sandboxOf(socket.remoteAddress ?? '');
    const destination = this.#options.originalDestination(socket);
    // Without a redirection the destination is this listener itself.
    if (sandbox === undefined || destination === undefined || destination.port === this.#listener?.port) {
      socket.resetAndDestroy();
      return;
    }
    if (sandbox.connections.size >= this.#options.maxConnections) {
      sandbox.deny({ protocol: 'tcp', ...destination, reason: 'too many connections' });
      socket.resetAndDestroy();
      return;
    }
    const { dialler, interceptor } = this.#options;
    new ProxiedConnection({ sandbox, socket, destination, dialler, interceptor }).start();
  }
}
