// A command, or a terminal, that runs in a sandbox, started or connected to.
import { SandboxError } from '../errors.ts';
import type { RequestOptions } from '../request-options.ts';
import { CommandExitError, type CommandResult } from './command-result.ts';
import { Output, type OutputListener } from './output.ts';
import type { ProcessEvent } from './process-events.ts';

export interface OutputListeners {
  /** Called with output as it arrives, in order; further output is held back until it has returned. */
  readonly onStdout?: OutputListener | undefined;
  readonly onStderr?: OutputListener | undefined;
}

export interface HandleListeners extends OutputListeners {
  /** What a terminal shows, which is neither output nor error output. */
  readonly onPty?: ((data: Uint8Array) => void | Promise<void>) | undefined;
}

export interface CommandControls {
  readonly kill: () => Promise<boolean>;
  readonly sendStdin: (data: string | Uint8Array, options?: RequestOptions) => Promise<void>;
  readonly closeStdin: (options?: RequestOptions) => Promise<void>;
  /** Stops reading the command's events. */
  readonly disconnect: () => void;
  /** The events have come to their end. */
  readonly release: () => void;
}

/** How long the stream may go on after the command's end before it is cut. */
const CLOSING_MS = 1000;

export class CommandHandle implements AsyncDisposable {
  /** Process ID inside the sandbox. */
  readonly pid: number;
  readonly #controls: CommandControls;
  readonly #finished: Promise<CommandResult>;
  readonly #stdout: Output;
  readonly #stderr: Output;
  readonly #onPty: HandleListeners['onPty'];
  #result: CommandResult | undefined;
  #disconnected = false;

  /** @param events what follows the start of the command */
  constructor(
    pid: number,
    events: AsyncGenerator<ProcessEvent>,
    { onStdout, onStderr, onPty }: HandleListeners,
    controls: CommandControls,
  ) {
    this.pid = pid;
    this.#controls = controls;
    this.#stdout = new Output(onStdout);
    this.#stderr = new Output(onStderr);
    this.#onPty = onPty;
    this.#finished = this.#follow(events);
    // Who never waits is not told of a failure by an unhandled rejection.
    this.#finished.catch(() => {});
  }

  /** Output so far. */
  get stdout(): string {
    return this.#stdout.text;
  }

  /** Error output so far. */
  get stderr(): string {
    return this.#stderr.text;
  }

  /** Undefined as long as the command runs; -1 when a signal ended it. */
  get exitCode(): number | undefined {
    return this.#result?.exitCode;
  }

  /** What went wrong; undefined as long as the command runs and when it ended with 0. */
  get error(): string | undefined {
    return this.#result?.error;
  }

  /**
   * Waits for the end.
   *
   * @throws CommandExitError when the exit code is not 0
   * @throws TimeoutError when the command took longer than its `timeoutMs`, or the sandbox ended
   * @throws SandboxError when the connection was cut, or `disconnect` called, before; what a listener threw, as it is
   */
  async wait(): Promise<CommandResult> {
    const result = await this.#finished;
    if (result.exitCode !== 0) throw new CommandExitError(result);
    return result;
  }

  /** Stops receiving output; the command goes on, and `commands.connect(pid)` finds it again. */
  async disconnect(): Promise<void> {
    this.#disconnected = true;
    this.#controls.disconnect();
  }

  /** Ends the command at once (SIGKILL). False when it had ended. */
  kill(): Promise<boolean> {
    return this.#controls.kill();
  }

  /** Needs `stdin: true` at the start; of a terminal, types into it. */
  sendStdin(data: string | Uint8Array, options?: RequestOptions): Promise<void> {
    return this.#controls.sendStdin(data, options);
  }

  /** The command reads end-of-file. Needs `stdin: true` at the start. */
  closeStdin(options?: RequestOptions): Promise<void> {
    return this.#controls.closeStdin(options);
  }

  /** `await using handle = await commands.run('...', { background: true })` kills it at the end of the block. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#result !== undefined) return;
    await this.kill();
    await this.disconnect();
  }

  async #follow(events: AsyncGenerator<ProcessEvent>): Promise<CommandResult> {
    try {
      for (;;) {
        const { done, value: event } = await events.next();
        if (this.#disconnected) break;
        if (done) throw new SandboxError("the command's events ended without its end");
        if (event.type === 'stdout') await this.#stdout.push(event.bytes);
        else if (event.type === 'stderr') await this.#stderr.push(event.bytes);
        else if (event.type === 'pty') await this.#onPty?.(event.bytes);
        else if (event.type === 'end') return await this.#end(event, events);
      }
    } catch (error) {
      this.#controls.disconnect();
      if (!this.#disconnected) throw error;
    }
    throw new SandboxError('the handle was disconnected before the command ended');
  }

  async #end(
    { exitCode, error }: ProcessEvent & { type: 'end' },
    events: AsyncGenerator<ProcessEvent>,
  ): Promise<CommandResult> {
    await this.#stdout.end();
    await this.#stderr.end();
    this.#result = { exitCode, stdout: this.stdout, stderr: this.stderr, ...(error !== undefined && { error }) };
    void this.#close(events);
    return this.#result;
  }

  /** The command has ended, whatever comes now; reading on lets the connection be used again. */
  async #close(events: AsyncGenerator<ProcessEvent>): Promise<void> {
    const timer = setTimeout(() => this.#controls.disconnect(), CLOSING_MS);
    try {
      while (!(await events.next()).done);
    } catch {
      // The result is known.
    } finally {
      clearTimeout(timer);
      this.#controls.release();
    }
  }
}
