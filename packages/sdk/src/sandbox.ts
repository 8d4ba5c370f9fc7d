// A sandbox, created or connected to.
import { AGENT_PORT } from '@sandport/protocol/agent-port';
import type { Sandbox as SandboxAnswer, SandboxDetail } from '@sandport/protocol/api';
import { formatHostName } from '@sandport/protocol/host-name';
import { AgentClient } from './agent-client.ts';
import { callApi } from './api-client.ts';
import { Commands } from './commands/commands.ts';
import { ConnectionConfig, type ConnectionOptions } from './connection-config.ts';
import { InvalidArgumentError, SandboxNotFoundError } from './errors.ts';
import { type NetworkOptions, type NetworkUpdate, networkBody, networkUpdateBody } from './network-options.ts';
import { type SandboxInfo, toInfo } from './sandbox-info.ts';
import { type SandboxListOptions, SandboxPaginator } from './sandbox-paginator.ts';

export interface SandboxOptions extends ConnectionOptions {
  /** Template ID or alias. Default `base`. */
  readonly template?: string;
  /** Life of the sandbox in milliseconds. Default 300 000. */
  readonly timeoutMs?: number;
  /** Pairs by which the list can be filtered. */
  readonly metadata?: Readonly<Record<string, string>>;
  /** Environment of every command. */
  readonly envs?: Readonly<Record<string, string>>;
  /** False: nothing outside may be reached from inside. Default true. */
  readonly allowInternetAccess?: boolean;
  readonly network?: NetworkOptions;
  /** Whether the agent asks for an access token. Default true. */
  readonly secure?: boolean;
}

export interface SandboxConnectOptions extends ConnectionOptions {
  /** The end is moved to this many milliseconds from now if that is later. Default 300 000. */
  readonly timeoutMs?: number;
}

const DEFAULT_TEMPLATE = 'base';
const DEFAULT_TIMEOUT_MS = 300_000;

export class Sandbox {
  readonly sandboxId: string;
  /** Domain of its public URLs, with the gateway's port where that is not 443. */
  readonly sandboxDomain: string;
  /** For the header `e2b-traffic-access-token`; present on sandboxes with `allowPublicTraffic: false`. */
  readonly trafficAccessToken: string | undefined;
  readonly commands: Commands;
  readonly #config: ConnectionConfig;
  readonly #agent: AgentClient;

  private constructor(answer: SandboxAnswer, config: ConnectionConfig) {
    this.sandboxId = answer.sandboxID;
    this.sandboxDomain = answer.domain ?? config.domain;
    this.trafficAccessToken = answer.trafficAccessToken ?? undefined;
    this.#config = config;
    this.#agent = new AgentClient({
      baseUrl: config.sandboxUrl ?? `https://${this.getHost(AGENT_PORT)}`,
      headers: {
        ...config.headers,
        'E2b-Sandbox-Id': this.sandboxId,
        'E2b-Sandbox-Port': String(AGENT_PORT),
        ...(answer.envdAccessToken !== undefined && { 'X-Access-Token': answer.envdAccessToken }),
      },
    });
    this.commands = new Commands(this.#agent, config);
  }

  /**
   * Creates a sandbox.
   *
   * @throws AuthenticationError without a valid API key
   * @throws TemplateError when there is no such template
   * @throws InvalidArgumentError when an option is refused; RateLimitError when there are too many sandboxes
   */
  static create(options?: SandboxOptions): Promise<Sandbox>;
  static create(template: string, options?: SandboxOptions): Promise<Sandbox>;
  static async create(templateOrOptions?: string | SandboxOptions, more: SandboxOptions = {}): Promise<Sandbox> {
    const options = typeof templateOrOptions === 'object' ? templateOrOptions : more;
    const template = typeof templateOrOptions === 'string' ? templateOrOptions : (options.template ?? DEFAULT_TEMPLATE);
    const config = new ConnectionConfig(options);
    const { data } = await callApi<SandboxAnswer>(config, 'POST', '/sandboxes', {
      templateID: template,
      timeout: seconds(options.timeoutMs ?? DEFAULT_TIMEOUT_MS),
      secure: options.secure ?? true,
      metadata: options.metadata,
      envVars: options.envs,
      allow_internet_access: options.allowInternetAccess,
      network: networkBody(options.network),
    });
    return new Sandbox(data, config);
  }

  /** Connects to a running sandbox. Throws a SandboxNotFoundError when there is none with this ID. */
  static async connect(sandboxId: string, options: SandboxConnectOptions = {}): Promise<Sandbox> {
    const config = new ConnectionConfig(options);
    const { data } = await callApi<SandboxAnswer>(config, 'POST', `/sandboxes/${segment(sandboxId)}/connect`, {
      timeout: seconds(options.timeoutMs ?? DEFAULT_TIMEOUT_MS),
    });
    return new Sandbox(data, config);
  }

  /** Lists sandboxes, page by page. */
  static list(options: SandboxListOptions = {}): SandboxPaginator {
    return new SandboxPaginator(options);
  }

  /** Kills a sandbox. False when there was none with this ID. */
  static async kill(sandboxId: string, options: ConnectionOptions = {}): Promise<boolean> {
    try {
      await callApi(new ConnectionConfig(options), 'DELETE', `/sandboxes/${segment(sandboxId)}`);
      return true;
    } catch (error) {
      if (error instanceof SandboxNotFoundError) return false;
      throw error;
    }
  }

  /** Moves the end of a sandbox to `timeoutMs` milliseconds from now, also to an earlier time. */
  static async setTimeout(sandboxId: string, timeoutMs: number, options: ConnectionOptions = {}): Promise<void> {
    const body = { timeout: seconds(timeoutMs) };
    await callApi(new ConnectionConfig(options), 'POST', `/sandboxes/${segment(sandboxId)}/timeout`, body);
  }

  static async getInfo(sandboxId: string, options: ConnectionOptions = {}): Promise<SandboxInfo> {
    const { data } = await callApi<SandboxDetail>(
      new ConnectionConfig(options),
      'GET',
      `/sandboxes/${segment(sandboxId)}`,
    );
    return toInfo(data);
  }

  /** Replaces what a running sandbox may reach; what is left out is cleared. */
  static async updateNetwork(
    sandboxId: string,
    network: NetworkUpdate,
    options: ConnectionOptions = {},
  ): Promise<void> {
    const body = networkUpdateBody(network);
    await callApi(new ConnectionConfig(options), 'PUT', `/sandboxes/${segment(sandboxId)}/network`, body);
  }

  /** Host name of a port's public URL, such as `3000-i62mff4ahtrdfdkyn2esc.example.com`. Throws on a bad port. */
  getHost(port: number): string {
    try {
      return formatHostName(port, this.sandboxId, this.sandboxDomain);
    } catch (error) {
      throw new InvalidArgumentError((error as Error).message, { cause: error });
    }
  }

  /** Public URL of a port: scheme, and the gateway's own port where that is needed. Throws on a bad port. */
  getUrl(port: number): string {
    return `https://${this.getHost(port)}`;
  }

  /** Whether it runs, asked of the sandbox itself. */
  isRunning(options: { readonly requestTimeoutMs?: number; readonly signal?: AbortSignal } = {}): Promise<boolean> {
    return this.#agent.isHealthy(this.#config.requestSignal(options.requestTimeoutMs, options.signal));
  }

  /** Moves its end to `timeoutMs` milliseconds from now, also to an earlier time. */
  setTimeout(timeoutMs: number, options: ConnectionOptions = {}): Promise<void> {
    return Sandbox.setTimeout(this.sandboxId, timeoutMs, this.#options(options));
  }

  getInfo(options: ConnectionOptions = {}): Promise<SandboxInfo> {
    return Sandbox.getInfo(this.sandboxId, this.#options(options));
  }

  /** Replaces what it may reach; what is left out is cleared. */
  updateNetwork(network: NetworkUpdate, options: ConnectionOptions = {}): Promise<void> {
    return Sandbox.updateNetwork(this.sandboxId, network, this.#options(options));
  }

  /** Ends it. False when it had ended. */
  kill(options: ConnectionOptions = {}): Promise<boolean> {
    return Sandbox.kill(this.sandboxId, this.#options(options));
  }

  /** `await using sandbox = await Sandbox.create()` kills it at the end of the block. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
  }

  #options(options: ConnectionOptions): ConnectionOptions {
    const { apiKey, domain, apiUrl, requestTimeoutMs, headers, signal } = this.#config;
    return { apiKey, domain, apiUrl, requestTimeoutMs, headers, ...(signal && { signal }), ...options };
  }
}

/** The API counts in whole seconds. */
function seconds(timeoutMs: number): number {
  if (!Number.isFinite(timeoutMs)) throw new InvalidArgumentError(`timeoutMs is ${timeoutMs}; expected milliseconds`);
  return Math.ceil(timeoutMs / 1000);
}

function segment(sandboxId: string): string {
  return encodeURIComponent(sandboxId);
}
