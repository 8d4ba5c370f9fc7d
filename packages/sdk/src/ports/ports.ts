// The ports that servers in a sandbox listen on, and their public URLs.
import {
  type ListeningPort,
  type ListPortsResponse,
  PORTS_SERVICE,
  type PortStreamMessage,
} from '@sandport/protocol/ports-rpc';
import type { AgentClient } from '../agent-client.ts';
import { type ConnectionConfig, checkMilliseconds } from '../connection-config.ts';
import { InvalidArgumentError, SandboxError, TimeoutError } from '../errors.ts';
import type { RequestOptions } from '../request-options.ts';
import { StreamLife } from '../stream-life.ts';
import { PortSubscription } from './port-subscription.ts';

export interface PortInfo {
  readonly port: number;
  /** Where anyone can open it; a private sandbox asks for a token. */
  readonly url: string;
  /** Those that the server has bound, such as `0.0.0.0` or `::1`. */
  readonly addresses: readonly string[];
  /** Whether the server has bound loopback addresses only; its public URL leads to it all the same. */
  readonly loopbackOnly: boolean;
  /** Process ID and name of one program that listens, when they are known. */
  readonly pid?: number;
  readonly program?: string;
}

export interface PortWaitOptions extends RequestOptions {
  /** How long to wait, in milliseconds; 0 for no limit. Default 60 000. */
  readonly timeoutMs?: number | undefined;
}

export interface PortListenOptions extends RequestOptions {
  /** Called once when no more will be told; with what ended it unless that was `stop`. */
  readonly onExit?: ((error?: Error) => void) | undefined;
}

const DEFAULT_WAIT_MS = 60_000;

export class Ports {
  readonly #agent: AgentClient;
  readonly #config: ConnectionConfig;
  readonly #urlOf: (port: number) => string;

  constructor(agent: AgentClient, config: ConnectionConfig, urlOf: (port: number) => string) {
    this.#agent = agent;
    this.#config = config;
    this.#urlOf = urlOf;
  }

  /** What is open now, in the order of the ports. */
  async list(options: RequestOptions = {}): Promise<PortInfo[]> {
    const { requestTimeoutMs = this.#config.requestTimeoutMs, signal: caller } = options;
    checkMilliseconds('requestTimeoutMs', requestTimeoutMs);
    const life = new StreamLife(caller);
    life.limit(requestTimeoutMs, 'the ports were not listed within requestTimeoutMs');
    try {
      const call = { signal: life.signal };
      const { ports = [] } = await this.#agent.unary<object, ListPortsResponse>(`${PORTS_SERVICE}/List`, {}, call);
      return ports.map((port) => this.#info(port));
    } finally {
      life.release();
    }
  }

  /**
   * Waits until a server listens on `port`; returns at once when one does.
   *
   * @throws TimeoutError when none does within `timeoutMs`
   */
  async waitFor(port: number, options: PortWaitOptions = {}): Promise<PortInfo> {
    const { timeoutMs = DEFAULT_WAIT_MS } = options;
    checkPort(port);
    checkMilliseconds('timeoutMs', timeoutMs);
    const life = new StreamLife(options.signal);
    life.limit(timeoutMs, `no server listened on port ${port} within ${timeoutMs} ms`);
    try {
      for await (const message of this.#watch(life.signal)) {
        const opened = 'start' in message ? (message.start.ports ?? []) : 'opened' in message ? [message.opened] : [];
        const found = opened.find((each) => each.port === port);
        if (found !== undefined) return this.#info(found);
      }
      throw new SandboxError(`the watch ended before a server listened on port ${port}`);
    } catch (error) {
      if (life.signal.reason instanceof TimeoutError) throw life.signal.reason;
      throw error;
    } finally {
      life.end();
    }
  }

  /** Calls back for every port that opens from now on. */
  onOpen(
    callback: (port: PortInfo) => void | Promise<void>,
    options: PortListenOptions = {},
  ): Promise<PortSubscription> {
    return this.#subscribe(
      (message) => ('opened' in message ? callback(this.#info(message.opened)) : undefined),
      options,
    );
  }

  /** Calls back for every port that closes from now on. */
  onClose(
    callback: (port: PortInfo) => void | Promise<void>,
    options: PortListenOptions = {},
  ): Promise<PortSubscription> {
    return this.#subscribe(
      (message) => ('closed' in message ? callback(this.#info(message.closed)) : undefined),
      options,
    );
  }

  async #subscribe(
    onMessage: (message: PortStreamMessage) => void | Promise<void>,
    options: PortListenOptions,
  ): Promise<PortSubscription> {
    const { requestTimeoutMs = this.#config.requestTimeoutMs, signal, onExit } = options;
    checkMilliseconds('requestTimeoutMs', requestTimeoutMs);
    const life = new StreamLife(signal);
    life.limit(requestTimeoutMs, 'the watch of the ports did not start within requestTimeoutMs');
    const messages = this.#watch(life.signal);
    try {
      const first = await messages.next();
      if (first.done || !('start' in first.value)) throw new SandboxError('the agent did not say that it watches');
      life.limit(0, '');
      return new PortSubscription(messages, { onMessage, onExit }, () => life.end());
    } catch (error) {
      life.end();
      throw error;
    }
  }

  #watch(signal: AbortSignal): AsyncGenerator<PortStreamMessage> {
    return this.#agent.stream<object, PortStreamMessage>(`${PORTS_SERVICE}/Watch`, {}, { signal });
  }

  #info({ port, addresses, loopbackOnly = false, pid, program }: ListeningPort): PortInfo {
    return {
      port,
      url: this.#urlOf(port),
      addresses,
      loopbackOnly,
      ...(pid !== undefined && { pid }),
      ...(program !== undefined && { program }),
    };
  }
}

function checkPort(port: number): void {
  if (!Number.isInteger(port) || port < 1 || port > 65_535) {
    throw new InvalidArgumentError(`port is ${port}; expected 1 to 65535`);
  }
}
