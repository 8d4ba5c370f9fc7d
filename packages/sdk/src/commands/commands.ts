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
import { type ConnectionConfig, checkMilliseconds } from '../connection-config.ts';
import { NotFoundError, SandboxError } from '../errors.ts';
import { StreamLife } from '../stream-life.ts';
import { CommandHandle, type OutputListeners } from './command-handle.ts';
import type { CommandResult } from './command-result.ts';
import { type ProcessEvent, readEvent } from './process-events.ts';

export interface CommandRequestOptions {
  /** Milliseconds until the answer has to begin; 0 for no limit. Default: that of the sandbox object. */
  readonly requestTimeoutMs?: number | undefined;
  /** Ends the request early, with the signal's reason; a command that has started goes on without its output. */
  readonly signal?: AbortSignal | undefined;
}

export interface CommandStartOptions extends CommandRequestOptions, OutputListeners {
  /** True returns a handle at once; false (the default) waits for the end. */
  readonly background?: boolean | undefined;
  /** Default: the home of the user. */
  readonly cwd?: string | undefined;
  /** Default: the template's user, `user` in `base`. */
  readonly user?: string | undefined;
  /** Added to the sandbox's own environment. */
  readonly envs?: Readonly<Record<string, string>> | undefined;
  /** Whether `sendStdin` will be used; without it the command reads end-of-file. Default false. */
  readonly stdin?: boolean | undefined;
  /** Life of the command in milliseconds, after which it is killed; 0 for no limit. Default 60 000. */
  readonly timeoutMs?: number | undefined;
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
/** How much later than the agent this side gives a command up. */
const GRACE_MS = 2000;

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
  run(
    command: string,
    options?: CommandStartOptions & { readonly background?: false | undefined },
  ): Promise<CommandResult>;
  run(command: string, options?: CommandStartOptions): Promise<CommandHandle | CommandResult>;
  async run(command: string, options: CommandStartOptions = {}): Promise<CommandHandle | CommandResult> {
    const request: StartRequest = {
      process: {
        cmd: '/bin/bash',
        args: ['-l', '-c', command],
        envs: options.envs ?? {},
        ...(options.cwd !== undefined && { cwd: options.cwd }),
      },
      stdin: options.stdin === true,
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
    const { timeoutMs = DEFAULT_TIMEOUT_MS, requestTimeoutMs = this.#config.requestTimeoutMs } = options;
    checkMilliseconds('timeoutMs', timeoutMs);
    checkMilliseconds('requestTimeoutMs', requestTimeoutMs);
    const life = new StreamLife(options.signal);
    life.limit(requestTimeoutMs, 'the command did not start within requestTimeoutMs');
    const call = { user, signal: life.signal, timeoutMs };
    const messages = this.#agent.stream<unknown, ProcessStreamMessage>(`${PROCESS_SERVICE}/${method}`, request, call);
    const events = readEvents(messages);
    try {
      const first = await events.next();
      if (first.done || first.value.type !== 'start') {
        throw new SandboxError('the agent did not say that the command had started');
      }
      // The agent ends the command in time and says so; this is for one that does not.
      life.limit(timeoutMs > 0 ? timeoutMs + GRACE_MS : 0, 'the command took longer than timeoutMs');
      const { pid } = first.value;
      return new CommandHandle(pid, events, options, {
        kill: () => this.kill(pid),
        sendStdin: (data, sendOptions) => this.sendStdin(pid, data, sendOptions),
        closeStdin: (closeOptions) => this.closeStdin(pid, closeOptions),
        disconnect: () => life.end(),
        release: () => life.release(),
      });
    } catch (error) {
      life.end();
      throw error;
    }
  }
}

async function* readEvents(messages: AsyncIterable<ProcessStreamMessage>): AsyncGenerator<ProcessEvent> {
  for await (const message of messages) yield readEvent(message);
}
