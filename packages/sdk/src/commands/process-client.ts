// Calls to the agent's process service that commands and terminals have in common.
import {
  PROCESS_SERVICE,
  type ProcessInput,
  type ProcessStreamMessage,
  type SendInputRequest,
  type SendSignalRequest,
} from '@sandport/protocol/process-rpc';
import type { AgentClient } from '../agent-client.ts';
import { toBase64 } from '../base64.ts';
import { type ConnectionConfig, checkMilliseconds } from '../connection-config.ts';
import { NotFoundError, SandboxError } from '../errors.ts';
import type { RequestOptions } from '../request-options.ts';
import { StreamLife } from '../stream-life.ts';
import { CommandHandle, type HandleListeners } from './command-handle.ts';
import { type ProcessEvent, readEvent } from './process-events.ts';

export interface OpenOptions extends RequestOptions {
  readonly user?: string | undefined;
  readonly timeoutMs?: number | undefined;
}

/** Where a process reads its input. */
export type InputKind = 'stdin' | 'pty';

const DEFAULT_TIMEOUT_MS = 60_000;
/** How much later than the agent this side gives a process up. */
const GRACE_MS = 2000;

export class ProcessClient {
  readonly #agent: AgentClient;
  readonly #config: ConnectionConfig;

  constructor(agent: AgentClient, config: ConnectionConfig) {
    this.#agent = agent;
    this.#config = config;
  }

  call<Request, Response>(method: string, request: Request, options: RequestOptions): Promise<Response> {
    const signal = this.#config.requestSignal(options.requestTimeoutMs, options.signal);
    return this.#agent.unary(`${PROCESS_SERVICE}/${method}`, request, { signal });
  }

  /** SIGKILL. False when there is no such process. */
  async kill(pid: number, options: RequestOptions): Promise<boolean> {
    const request: SendSignalRequest = { process: { pid }, signal: 'SIGNAL_SIGKILL' };
    try {
      await this.call('SendSignal', request, options);
      return true;
    } catch (error) {
      if (error instanceof NotFoundError) return false;
      throw error;
    }
  }

  async sendInput(pid: number, kind: InputKind, data: string | Uint8Array, options: RequestOptions): Promise<void> {
    const bytes = toBase64(data);
    const input: ProcessInput = kind === 'pty' ? { pty: bytes } : { stdin: bytes };
    const request: SendInputRequest = { process: { pid }, input };
    await this.call('SendInput', request, options);
  }

  /** The process reads end-of-file. */
  async closeStdin(pid: number, options: RequestOptions): Promise<void> {
    await this.call('CloseStdin', { process: { pid } }, options);
  }

  /** Opens a stream of events and waits for the first, which says that the process runs. */
  async open(
    method: 'Start' | 'Connect',
    request: unknown,
    options: OpenOptions,
    listeners: HandleListeners,
    inputKind: InputKind,
  ): Promise<CommandHandle> {
    const { user, timeoutMs = DEFAULT_TIMEOUT_MS, requestTimeoutMs = this.#config.requestTimeoutMs } = options;
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
      // The agent ends the process in time and says so; this is for one that does not.
      life.limit(timeoutMs > 0 ? timeoutMs + GRACE_MS : 0, 'the command took longer than timeoutMs');
      const { pid } = first.value;
      return new CommandHandle(pid, events, listeners, {
        kill: () => this.kill(pid, {}),
        sendStdin: (data, sendOptions = {}) => this.sendInput(pid, inputKind, data, sendOptions),
        closeStdin: (closeOptions = {}) => this.closeStdin(pid, closeOptions),
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
