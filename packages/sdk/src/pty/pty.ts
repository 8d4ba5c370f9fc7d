// Terminals (pseudo-terminals) in a sandbox.
import type { ConnectRequest, PtySize, StartRequest, UpdateRequest } from '@sandport/protocol/process-rpc';
import type { AgentClient } from '../agent-client.ts';
import type { CommandHandle } from '../commands/command-handle.ts';
import { ProcessClient } from '../commands/process-client.ts';
import type { ConnectionConfig } from '../connection-config.ts';
import { InvalidArgumentError } from '../errors.ts';
import type { RequestOptions } from '../request-options.ts';

export type { PtySize };

export interface PtyConnectOptions extends RequestOptions {
  /** Called with what the terminal shows as it arrives, in order; more is held back until it has returned. */
  readonly onData?: ((data: Uint8Array) => void | Promise<void>) | undefined;
  /** Life of the terminal in milliseconds, after which it is killed; 0 for no limit. Default 60 000. */
  readonly timeoutMs?: number | undefined;
}

export interface PtyCreateOptions extends PtyConnectOptions, PtySize {
  readonly onData: (data: Uint8Array) => void | Promise<void>;
  /** Default: the template's user, `user` in `base`. */
  readonly user?: string | undefined;
  /** Added to the sandbox's own environment, and to `TERM=xterm-256color` and a UTF-8 locale. */
  readonly envs?: Readonly<Record<string, string>> | undefined;
  /** Default: the home of the user. */
  readonly cwd?: string | undefined;
}

const ENVIRONMENT = { TERM: 'xterm-256color', LANG: 'C.UTF-8', LC_ALL: 'C.UTF-8' };
/** struct winsize has 16 bits for each (ioctl_tty(2)). */
const MAX_SIZE = 0xffff;

export class Pty {
  readonly #processes: ProcessClient;

  constructor(agent: AgentClient, config: ConnectionConfig) {
    this.#processes = new ProcessClient(agent, config);
  }

  /**
   * Opens a terminal with a login shell, `/bin/bash -i -l`. The handle's `wait` waits for the end of the shell.
   *
   * @throws InvalidArgumentError when `cwd` does not exist, or on a size that is none
   * @throws AuthenticationError when there is no such user
   */
  async create(options: PtyCreateOptions): Promise<CommandHandle> {
    const request: StartRequest = {
      process: {
        cmd: '/bin/bash',
        args: ['-i', '-l'],
        envs: { ...ENVIRONMENT, ...options.envs },
        ...(options.cwd !== undefined && { cwd: options.cwd }),
      },
      pty: { size: checkedSize(options) },
    };
    return this.#processes.open('Start', request, options, { onPty: options.onData }, 'pty');
  }

  /** Receives what a terminal shows from now on. Throws a NotFoundError when there is none with this process ID. */
  async connect(pid: number, options: PtyConnectOptions = {}): Promise<CommandHandle> {
    const request: ConnectRequest = { process: { pid } };
    const { requestTimeoutMs, signal, timeoutMs, onData } = options;
    return this.#processes.open('Connect', request, { requestTimeoutMs, signal, timeoutMs }, { onPty: onData }, 'pty');
  }

  /** Types into a terminal. Throws a NotFoundError when there is none with this process ID. */
  async sendInput(pid: number, data: string | Uint8Array, options: RequestOptions = {}): Promise<void> {
    await this.#processes.sendInput(pid, 'pty', data, options);
  }

  /** Tells the programs in a terminal its new size. Throws a NotFoundError when there is none with this process ID. */
  async resize(pid: number, size: PtySize, options: RequestOptions = {}): Promise<void> {
    const request: UpdateRequest = { process: { pid }, pty: { size: checkedSize(size) } };
    await this.#processes.call('Update', request, options);
  }

  /** Ends the shell of a terminal at once (SIGKILL). False when there is none with this process ID. */
  async kill(pid: number, options: RequestOptions = {}): Promise<boolean> {
    return this.#processes.kill(pid, options);
  }
}

function checkedSize({ cols, rows }: PtySize): PtySize {
  for (const [name, value] of Object.entries({ cols, rows })) {
    if (!(Number.isInteger(value) && value >= 1 && value <= MAX_SIZE)) {
      throw new InvalidArgumentError(`${name} is ${value}; expected a whole number from 1 to ${MAX_SIZE}`);
    }
  }
  return { cols, rows };
}
