// Runs commands in a sandbox.
import {
  type CloseStdinRequest,
  type ConnectRequest,
  type ListResponse,
  PROCESS_SERVICE,
  type ProcessStreamMessage,
  type SendInputRequest,
  type SendSignalRequest,
  type StartRequest,
} from '@sandport/protocol/process-rpc';
import type { AgentClient } from '../agent-client.ts';
import { toBase64 } from '../base64.ts';
import type { ConnectionConfig } from '../connection-config.ts';
import { NotFoundError, SandboxError, TimeoutError } from '../errors.ts';
import { CommandHandle, type OutputListeners } from './command-handle.ts';
import type { CommandResult } from './command-result.ts';

export interface CommandRequestOptions {
  /** Milliseconds until the answer has to begin; 0 for no limit. Default: that of the sandbox object. */
  readonly requestTimeoutMs?: number;
  readonly signal?: AbortSignal;
}

export interface CommandStartOptions extends CommandRequestOptions, OutputListeners {
  /** True returns a handle at once; false (the default) waits for the end. */
  readonly background?: boolean;
  /** Default: the home of the user. */
  readonly cwd?: string;
  /** Default: the template's user, `user` in `base`. */
  readonly user?: string;
  /** Added to the sandbox's own environment. */
  readonly envs?: Readonly<Record<string, string>>;
  /** Whether `sendStdin` will be used; without it the command reads end-of-file. Default false. */
  readonly stdin?: boolean;
  /** Life of the command in milliseconds, after which it is killed; 0 for no limit. Default 60 000. */
  readonly timeoutMs?: number;
}

export type CommandConnectOptions = CommandRequestOptions & OutputListeners & Pick<CommandStartOptions, 'timeoutMs'>;

export interface ProcessInfo {
  readonly pid: number;
  readonly tag?: string;
  readonly cmd: string;
  readonly args: readonly string[];
  readonly envs: Readonly<Record<string, string>>;
  readonly cwd?: string;
}

const DEFAULT_TIMEOUT_MS = 60_000;

export class Commands {
  readonly #agent: AgentClient;
  readonly #config: ConnectionConfig;

  constructor(agent: AgentClient, config: ConnectionConfig) {
    this.#agent = agent;
    this.#config = config;
  }

  /**
   * Runs `command` with `/bin/bash -l -c`.
   *
   * @throws CommandExitError when it ends with another code than 0 (not with `background`)
   * @throws TimeoutError when it takes longer than `timeoutMs`, or the sandbox ends
   * @throws InvalidArgumentError when `cwd` does not exist
   * @throws AuthenticationError when there is no such user
   */
  run(command: string, options: CommandStartOptions & { readonly background: true }): Promise<CommandHandle>;
  run(command: string, options?: CommandStartOptions & { readonly background?: false }): Promise<CommandResult>;
  run(command: string, options?: CommandStartOptions): Promise<CommandHandle | CommandResult>;
  async run(command: string, options: CommandStartOptions = {}): Promise<CommandHandle | CommandResult> {
    const request: StartRequest = {
      process: {
        cmd: '/bin/bash',
        args: ['-l', '-c', command],
        envs: options.envs ?? {},
        ...(options.cwd !== undefined && { cwd: options.cwd }),
      },
      stdin: options.stdin ?? false,
    };
    const handle = await this.#open('Start', request, options, options.user);
    return options.background ? handle : handle.wait();
  }

  /** Receives the further output of a running command. Throws a NotFoundError when there is none with this ID. */
  connect(pid: number, options: CommandConnectOptions = {}): Promise<CommandHandle> {
    const request: ConnectRequest = { process: { pid } };
    return this.#open('Connect', request, options, undefined);
  }

  /** Commands, and terminals, that were started through the agent and still run. */
  async list(options: CommandRequestOptions = {}): Promise<ProcessInfo[]> {
    const { processes = [] } = await this.#call<object, ListResponse>('List', {}, options);
    return processes.map(({ pid, tag, config }) => ({
      pid,
      ...(tag !== undefined && { tag }),
      cmd: config.cmd,
      args: config.args ?? [],
      envs: config.envs ?? {},
      ...(config.cwd !== undefined && { cwd: config.cwd }),
    }));
  }

  /** Ends a command at once (SIGKILL). False when there is none with this ID. */
  async kill(pid: number, options: CommandRequestOptions = {}): Promise<boolean> {
    const request: SendSignalRequest = { process: { pid }, signal: 'SIGNAL_SIGKILL' };
    try {
      await this.#call('SendSignal', request, options);
      return true;
    } catch (error) {
      if (error instanceof NotFoundError) return false;
      throw error;
    }
  }

  /** Needs `stdin: true` at the start. */
  async sendStdin(pid: number, data: string | Uint8Array, options: CommandRequestOptions = {}): Promise<void> {
    const request: SendInputRequest = { process: { pid }, input: { stdin: toBase64(data) } };
    await this.#call('SendInput', request, options);
  }

  /** The command reads end-of-file. */
  async closeStdin(pid: number, options: CommandRequestOptions = {}): Promise<void> {
    const request: CloseStdinRequest = { process: { pid } };
    await this.#call('CloseStdin', request, options);
  }

  #call<Request, Response>(method: string, request: Request, options: CommandRequestOptions): Promise<Response> {
    const signal = this.#config.requestSignal(options.requestTimeoutMs, options.signal);
    return this.#agent.unary(`${PROCESS_SERVICE}/${method}`, request, { signal });
  }

  /** Opens a stream of events and waits for the first, which says that the command runs. */
  async #open(
    method: string,
    request: unknown,
    options: CommandConnectOptions,
    user: string | undefined,
  ): Promise<CommandHandle> {
    const ending = new AbortController();
    const signal = options.signal ?? this.#config.signal;
    const requestTimeoutMs = options.requestTimeoutMs ?? this.#config.requestTimeoutMs;
    const late = new TimeoutError('the command did not start within requestTimeoutMs');
    const timer = requestTimeoutMs > 0 ? setTimeout(() => ending.abort(late), requestTimeoutMs) : undefined;
    const events = this.#agent.stream<unknown, ProcessStreamMessage>(`${PROCESS_SERVICE}/${method}`, request, {
      user,
      signal: signal === undefined ? ending.signal : AbortSignal.any([ending.signal, signal]),
      timeoutMs: options.timeoutMs ?? DEFAULT_TIMEOUT_MS,
    });
    let pid: number;
    try {
      pid = await firstPid(events);
    } finally {
      clearTimeout(timer);
    }
    return new CommandHandle(pid, events, options, {
      kill: () => this.kill(pid),
      sendStdin: (data) => this.sendStdin(pid, data),
      closeStdin: () => this.closeStdin(pid),
      disconnect: () => ending.abort(new SandboxError('this handle was disconnected')),
    });
  }
}

async function firstPid(events: AsyncGenerator<ProcessStreamMessage>): Promise<number> {
  const { done, value } = await events.next();
  if (!done && 'start' in value.event) return value.event.start.pid;
  throw new SandboxError('the agent did not say that the command had started');
}
