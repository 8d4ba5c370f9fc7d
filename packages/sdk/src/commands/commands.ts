// Runs commands in a sandbox.
import type { ConnectRequest, ListResponse, StartRequest } from '@sandport/protocol/process-rpc';
import type { AgentClient } from '../agent-client.ts';
import type { ConnectionConfig } from '../connection-config.ts';
import type { RequestOptions } from '../request-options.ts';
import type { CommandHandle, OutputListeners } from './command-handle.ts';
import type { CommandResult } from './command-result.ts';
import { ProcessClient } from './process-client.ts';

export type CommandRequestOptions = RequestOptions;

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

export class Commands {
  readonly #processes: ProcessClient;

  constructor(agent: AgentClient, config: ConnectionConfig) {
    this.#processes = new ProcessClient(agent, config);
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
    const handle = await this.#processes.open('Start', request, options, options, 'stdin');
    return options.background ? handle : handle.wait();
  }

  /** Receives the further output of a running command. Throws a NotFoundError when there is none with this ID. */
  async connect(pid: number, options: CommandConnectOptions = {}): Promise<CommandHandle> {
    const request: ConnectRequest = { process: { pid } };
    const { requestTimeoutMs, signal, timeoutMs } = options;
    return this.#processes.open('Connect', request, { requestTimeoutMs, signal, timeoutMs }, options, 'stdin');
  }

  /** Commands, and terminals, that were started through the agent and still run. */
  async list(options: CommandRequestOptions = {}): Promise<ProcessInfo[]> {
    const { processes = [] } = await this.#processes.call<object, ListResponse>('List', {}, options);
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
    return this.#processes.kill(pid, options);
  }

  /** Needs `stdin: true` at the start. */
  async sendStdin(pid: number, data: string | Uint8Array, options: CommandRequestOptions = {}): Promise<void> {
    await this.#processes.sendInput(pid, 'stdin', data, options);
  }

  /** The command reads end-of-file. */
  async closeStdin(pid: number, options: CommandRequestOptions = {}): Promise<void> {
    await this.#processes.closeStdin(pid, options);
  }
}
