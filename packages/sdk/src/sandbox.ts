// A sandbox, created or connected to.
import { AGENT_PORT } from '@sandport/protocol/agent-port';
import type {
  ForkResult,
  Sandbox as SandboxAnswer,
  SandboxDetail,
  SnapshotInfo as SnapshotAnswer,
} from '@sandport/protocol/api';
import { formatHostName } from '@sandport/protocol/host-name';
import { AgentClient } from './agent-client.ts';
import { callApi } from './api-client.ts';
import { apiError } from './api-errors.ts';
import { Commands } from './commands/commands.ts';
import { ConnectionConfig, type ConnectionOptions } from './connection-config.ts';
import { InvalidArgumentError, NotFoundError, SandboxNotFoundError, SandportError } from './errors.ts';
import { type EventListOptions, type LifecycleEvent, listEvents } from './events.ts';
import { type FileUrlOptions, signedFileRoute } from './files/file-url.ts';
import { Files } from './files/files.ts';
import { Git } from './git/git.ts';
import { readLogs, type SandboxLogEntry, type SandboxLogOptions } from './logs.ts';
import { readMetrics, type SandboxMetrics, type SandboxMetricsOptions } from './metrics.ts';
import { type NetworkUpdate, networkUpdateBody } from './network-options.ts';
import { Ports } from './ports/ports.ts';
import { Pty } from './pty/pty.ts';
import type { RequestOptions } from './request-options.ts';
import { type SandboxInfo, toInfo } from './sandbox-info.ts';
import {
  createBody,
  DEFAULT_TIMEOUT_MS,
  type SandboxConnectOptions,
  type SandboxForkOptions,
  type SandboxOptions,
  type SandboxPauseOptions,
  type SnapshotOptions,
  toSeconds,
} from './sandbox-options.ts';
import { type SandboxListOptions, SandboxPaginator } from './sandbox-paginator.ts';
import { type SignedUrlOptions, signedUrl } from './signed-url.ts';
import { type SnapshotInfo, type SnapshotListOptions, SnapshotPaginator, toSnapshot } from './snapshots.ts';

/** Where the `e2b` templates have their MCP gateway, and where it leaves its token. */
const MCP_PORT = 50_005;
const MCP_TOKEN_FILE = '/etc/mcp-gateway/.token';

/** What a Sandbox object is made of. Programs get theirs from `Sandbox.create` and `Sandbox.connect`. */
export interface SandboxParts {
  readonly answer: SandboxAnswer;
  readonly config: ConnectionConfig;
}

export class Sandbox implements AsyncDisposable {
  readonly sandboxId: string;
  /** Domain of its public URLs, with the gateway's port where that is not 443. */
  readonly sandboxDomain: string;
  /** For the header `e2b-traffic-access-token`; present on sandboxes with private ports. */
  readonly trafficAccessToken: string | undefined;
  readonly commands: Commands;
  readonly files: Files;
  readonly pty: Pty;
  readonly git: Git;
  /** Which servers in it can be reached. */
  readonly ports: Ports;
  readonly #accessToken: string | undefined;
  readonly #config: ConnectionConfig;
  readonly #agent: AgentClient;

  constructor({ answer, config }: SandboxParts) {
    this.sandboxId = answer.sandboxID;
    this.sandboxDomain = answer.domain ?? config.domain;
    this.trafficAccessToken = answer.trafficAccessToken ?? undefined;
    this.#accessToken = answer.envdAccessToken ?? undefined;
    this.#config = config;
    this.#agent = new AgentClient({
      baseUrl: config.sandboxUrl ?? `https://${this.getHost(AGENT_PORT)}`,
      headers: {
        ...config.headers,
        'E2b-Sandbox-Id': this.sandboxId,
        'E2b-Sandbox-Port': String(AGENT_PORT),
        ...(this.#accessToken !== undefined && { 'X-Access-Token': this.#accessToken }),
      },
    });
    this.commands = new Commands(this.#agent, config);
    this.files = new Files(this.#agent, config);
    this.pty = new Pty(this.#agent, config);
    this.git = new Git(this.commands);
    this.ports = new Ports(this.#agent, config, (port) => this.getUrl(port));
  }

  /**
   * Creates a sandbox.
   *
   * @throws AuthenticationError without a valid API key
   * @throws TemplateError when there is no such template
   * @throws InvalidArgumentError when an option is refused
   * @throws RateLimitError when there are too many sandboxes; ServiceBusyError when the machine is full
   */
  static create<S extends typeof Sandbox>(this: S, options?: SandboxOptions): Promise<InstanceType<S>>;
  static create<S extends typeof Sandbox>(
    this: S,
    template: string,
    options?: SandboxOptions,
  ): Promise<InstanceType<S>>;
  static async create<S extends typeof Sandbox>(
    this: S,
    template?: string | SandboxOptions,
    more: SandboxOptions = {},
  ): Promise<InstanceType<S>> {
    const options = typeof template === 'string' ? { ...more, template } : { ...template };
    const { data } = await callApi<SandboxAnswer>(options, 'POST', '/sandboxes', createBody(options));
    return new this({ answer: data, config: new ConnectionConfig(options) }) as InstanceType<S>;
  }

  /** Connects to a sandbox; resumes it if it is paused. Throws a SandboxNotFoundError when there is none with this ID. */
  static async connect<S extends typeof Sandbox>(
    this: S,
    sandboxId: string,
    options: SandboxConnectOptions = {},
  ): Promise<InstanceType<S>> {
    const answer = await connectTo(sandboxId, options);
    return new this({ answer, config: new ConnectionConfig(options) }) as InstanceType<S>;
  }

  /** Lists sandboxes, page by page. */
  static list(options: SandboxListOptions = {}): SandboxPaginator {
    return new SandboxPaginator(options);
  }

  /** Lists what happened in the lives of sandboxes, the newest first; also of those that have ended. */
  static listEvents(options: EventListOptions = {}): Promise<LifecycleEvent[]> {
    return listEvents(options);
  }

  /** Kills a sandbox. False when there was none with this ID. */
  static async kill(sandboxId: string, options: ConnectionOptions = {}): Promise<boolean> {
    try {
      await callApi(options, 'DELETE', `/sandboxes/${segment(sandboxId)}`);
      return true;
    } catch (error) {
      if (error instanceof SandboxNotFoundError) return false;
      throw error;
    }
  }

  /** What a sandbox used, oldest first: a sample every five seconds, of half an hour at most. */
  static getMetrics(sandboxId: string, options: SandboxMetricsOptions = {}): Promise<SandboxMetrics[]> {
    return readMetrics(`/sandboxes/${segment(sandboxId)}/metrics`, options);
  }

  /**
   * What the server did with a sandbox and which commands ran in it, oldest first; of one that is paused only the former.
   * Throws a SandboxNotFoundError when it has ended.
   */
  static getLogs(sandboxId: string, options: SandboxLogOptions = {}): Promise<SandboxLogEntry[]> {
    return readLogs(`/v2/sandboxes/${segment(sandboxId)}`, options);
  }

  /** Moves the end of a sandbox to `timeoutMs` milliseconds from now, also to an earlier time. */
  static async setTimeout(sandboxId: string, timeoutMs: number, options: ConnectionOptions = {}): Promise<void> {
    const body = { timeout: toSeconds(timeoutMs) };
    await callApi(options, 'POST', `/sandboxes/${segment(sandboxId)}/timeout`, body);
  }

  /**
   * Pauses a sandbox: its processes stop where they are, until somebody connects. False when it was paused already.
   *
   * @throws InvalidArgumentError when the server's runtime cannot keep what is to be kept
   */
  static async pause(sandboxId: string, options: SandboxPauseOptions = {}): Promise<boolean> {
    try {
      await callApi(options, 'POST', `/sandboxes/${segment(sandboxId)}/pause`, { memory: options.keepMemory });
      return true;
    } catch (error) {
      if (error instanceof SandportError && error.code === 'sandbox_state_conflict') return false;
      throw error;
    }
  }

  /** `pause` by the name that programs for `e2b` may use. */
  static betaPause(sandboxId: string, options: SandboxPauseOptions = {}): Promise<boolean> {
    return Sandbox.pause(sandboxId, options);
  }

  /**
   * Makes sandboxes that go on where this one is now, with its files and processes, and share nothing with it
   * afterwards. Each succeeds or fails by itself: in place of one that failed is its error.
   */
  static async fork<S extends typeof Sandbox>(
    this: S,
    sandboxId: string,
    options: SandboxForkOptions = {},
  ): Promise<(InstanceType<S> | SandportError)[]> {
    const path = `/sandboxes/${segment(sandboxId)}/fork`;
    const body = { count: options.count, timeout: toSeconds(options.timeoutMs ?? DEFAULT_TIMEOUT_MS) };
    const { data } = await callApi<ForkResult[]>(options, 'POST', path, body);
    return data.map(({ sandbox, error }) => {
      if (sandbox === undefined) return apiError(path, error?.code ?? 500, JSON.stringify(error ?? {}));
      return new this({ answer: sandbox, config: new ConnectionConfig(options) }) as InstanceType<S>;
    });
  }

  /** Makes a snapshot of a running sandbox, for `Sandbox.create(snapshotId)`; it outlives the sandbox. */
  static async createSnapshot(sandboxId: string, options: SnapshotOptions = {}): Promise<SnapshotInfo> {
    const path = `/sandboxes/${segment(sandboxId)}/snapshots`;
    const { data } = await callApi<SnapshotAnswer>(options, 'POST', path, { name: options.name });
    return toSnapshot(data);
  }

  /** Lists snapshots, page by page. */
  static listSnapshots(options: SnapshotListOptions = {}): SnapshotPaginator {
    return new SnapshotPaginator(options);
  }

  /** Deletes a snapshot; sandboxes created from it go on. False when there was none. */
  static async deleteSnapshot(snapshotId: string, options: ConnectionOptions = {}): Promise<boolean> {
    try {
      await callApi(options, 'DELETE', `/templates/${encodeURIComponent(snapshotId)}`);
      return true;
    } catch (error) {
      if (error instanceof NotFoundError) return false;
      throw error;
    }
  }

  static async getInfo(sandboxId: string, options: ConnectionOptions = {}): Promise<SandboxInfo> {
    const { data } = await callApi<SandboxDetail>(options, 'GET', `/sandboxes/${segment(sandboxId)}`);
    return toInfo(data);
  }

  /** `getInfo` by the name that programs for `e2b` may use. */
  static getFullInfo(sandboxId: string, options: ConnectionOptions = {}): Promise<SandboxInfo> {
    return Sandbox.getInfo(sandboxId, options);
  }

  /** Replaces what a running sandbox may reach; what is left out is cleared. */
  static async updateNetwork(
    sandboxId: string,
    network: NetworkUpdate,
    options: ConnectionOptions = {},
  ): Promise<void> {
    const body = networkUpdateBody(network);
    await callApi(options, 'PUT', `/sandboxes/${segment(sandboxId)}/network`, body);
  }

  /** Resumes it if it is paused, and moves its end to a later time, as `Sandbox.connect` does. Throws a SandboxNotFoundError when it has ended. */
  async connect(options: SandboxConnectOptions = {}): Promise<this> {
    await connectTo(this.sandboxId, this.#config.with(options));
    return this;
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

  /** URL of the MCP gateway (Model Context Protocol) that runs in it, if one does. */
  getMcpUrl(): string {
    return `${this.getUrl(MCP_PORT)}/mcp`;
  }

  /** What the MCP gateway in it asks for. Throws a FileNotFoundError when none runs. */
  getMcpToken(): Promise<string> {
    return this.files.read(MCP_TOKEN_FILE, { user: 'root' });
  }

  /**
   * Public URL of a private port that works without the token, for whoever has it, until it ends or is revoked. A browser
   * that opens it keeps a cookie for as long, and the address loses the signature.
   *
   * @throws InvalidArgumentError on an option that cannot be right, and for a port that is public
   */
  getSignedUrl(port: number, options: SignedUrlOptions = {}): Promise<string> {
    this.getHost(port);
    return signedUrl(this.sandboxId, port, { ...options, ...this.#config.with(options) });
  }

  /** Ends every signed URL of this sandbox, and what browsers keep of them. New ones can be made. */
  async revokeSignedUrls(options: ConnectionOptions = {}): Promise<void> {
    await callApi(this.#config.with(options), 'DELETE', `/sandboxes/${segment(this.sandboxId)}/signed-urls`);
  }

  /**
   * URL at which a file can be put with POST: as `application/octet-stream`, or as a form with parts named `file`.
   *
   * @param path where it goes; without it, the file names of the form say where
   * @throws InvalidArgumentError on an expiration that is none, or for a sandbox without `secure`
   */
  async uploadUrl(path?: string, options: FileUrlOptions = {}): Promise<string> {
    return this.getUrl(AGENT_PORT) + (await signedFileRoute('write', path, options, this.#accessToken));
  }

  /** URL at which a file can be got, by whoever knows it. Throws as `uploadUrl` does. */
  async downloadUrl(path: string, options: FileUrlOptions = {}): Promise<string> {
    return this.getUrl(AGENT_PORT) + (await signedFileRoute('read', path, options, this.#accessToken));
  }

  /** Whether it runs, asked of the sandbox itself. */
  async isRunning(options: RequestOptions = {}): Promise<boolean> {
    return this.#agent.isHealthy(this.#config.requestSignal(options.requestTimeoutMs, options.signal));
  }

  /** Moves its end to `timeoutMs` milliseconds from now, also to an earlier time. */
  setTimeout(timeoutMs: number, options: ConnectionOptions = {}): Promise<void> {
    return Sandbox.setTimeout(this.sandboxId, timeoutMs, this.#config.with(options));
  }

  /** Pauses it, as `Sandbox.pause` does. */
  pause(options: SandboxPauseOptions = {}): Promise<boolean> {
    return Sandbox.pause(this.sandboxId, this.#config.with(options));
  }

  /** `pause` by the name that programs for `e2b` may use. */
  betaPause(options: SandboxPauseOptions = {}): Promise<boolean> {
    return this.pause(options);
  }

  /** Makes sandboxes that go on where it is now, as `Sandbox.fork` does. */
  fork(options: SandboxForkOptions = {}): Promise<(this | SandportError)[]> {
    const own = this.constructor as typeof Sandbox;
    return own.fork(this.sandboxId, this.#config.with(options)) as Promise<(this | SandportError)[]>;
  }

  /** Makes a snapshot of it, as `Sandbox.createSnapshot` does. */
  createSnapshot(options: SnapshotOptions = {}): Promise<SnapshotInfo> {
    return Sandbox.createSnapshot(this.sandboxId, this.#config.with(options));
  }

  /** Lists the snapshots that were made of it. */
  listSnapshots(options: Omit<SnapshotListOptions, 'sandboxId'> = {}): SnapshotPaginator {
    return new SnapshotPaginator({ ...this.#config.with(options), sandboxId: this.sandboxId });
  }

  getMetrics(options: SandboxMetricsOptions = {}): Promise<SandboxMetrics[]> {
    return Sandbox.getMetrics(this.sandboxId, { ...options, ...this.#config.with(options) });
  }

  /** What happened with it and in it, as `Sandbox.getLogs` tells it. */
  getLogs(options: SandboxLogOptions = {}): Promise<SandboxLogEntry[]> {
    return Sandbox.getLogs(this.sandboxId, { ...options, ...this.#config.with(options) });
  }

  getInfo(options: ConnectionOptions = {}): Promise<SandboxInfo> {
    return Sandbox.getInfo(this.sandboxId, this.#config.with(options));
  }

  /** Replaces what it may reach; what is left out is cleared. */
  updateNetwork(network: NetworkUpdate, options: ConnectionOptions = {}): Promise<void> {
    return Sandbox.updateNetwork(this.sandboxId, network, this.#config.with(options));
  }

  /** Ends it. False when it had ended. */
  kill(options: ConnectionOptions = {}): Promise<boolean> {
    return Sandbox.kill(this.sandboxId, this.#config.with(options));
  }

  /** `await using sandbox = await Sandbox.create()` kills it at the end of the block. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
  }
}

async function connectTo(sandboxId: string, options: SandboxConnectOptions): Promise<SandboxAnswer> {
  const body = { timeout: toSeconds(options.timeoutMs ?? DEFAULT_TIMEOUT_MS) };
  const { data } = await callApi<SandboxAnswer>(options, 'POST', `/sandboxes/${segment(sandboxId)}/connect`, body);
  return data;
}

function segment(sandboxId: string): string {
  return encodeURIComponent(sandboxId);
}
