// A command that runs in a sandbox, started or connected to.
import type { ProcessStreamMessage } from '@sandport/protocol/process-rpc';
import { fromBase64 } from '../base64.ts';
import { SandboxError } from '../errors.ts';
import { CommandExitError, type CommandResult } from './command-result.ts';

export interface OutputListeners {
  readonly onStdout?: ((data: string) => void | Promise<void>) | undefined;
  readonly onStderr?: ((data: string) => void | Promise<void>) | undefined;
}

export interface CommandControls {
  readonly kill: () => Promise<boolean>;
  readonly sendStdin: (data: string | Uint8Array) => Promise<void>;
  readonly closeStdin: () => Promise<void>;
  /** Stops reading the command's events. */
  readonly disconnect: () => void;
}

export class CommandHandle {
  /** Process ID inside the sandbox. */
  readonly pid: number;
  readonly #controls: CommandControls;
  readonly #finished: Promise<CommandResult>;
  #stdout = '';
  #stderr = '';
  #result: CommandResult | undefined;

  /** @param events what follows the start of the command */
  constructor(
    pid: number,
    events: AsyncIterable<ProcessStreamMessage>,
    listeners: OutputListeners,
    controls: CommandControls,
  ) {
    this.pid = pid;
    this.#controls = controls;
    this.#finished = this.#follow(events, listeners);
    // Who never waits is not told of a failure by an unhandled rejection.
    this.#finished.catch(() => {});
  }

  /** Output so far. */
  get stdout(): string {
    return this.#stdout;
  }

  /** Error output so far. */
  get stderr(): string {
    return this.#stderr;
  }

  /** Undefined as long as the command runs. */
  get exitCode(): number | undefined {
    return this.#result?.exitCode;
  }

  /** What went wrong; undefined as long as the command runs and when it ended with 0. */
  get error(): string | undefined {
    return this.#result?.error;
  }

  /** Waits for the end. Throws a CommandExitError when the exit code is not 0, a TimeoutError when the sandbox ended. */
  async wait(): Promise<CommandResult> {
    const result = await this.#finished;
    if (result.exitCode !== 0) throw new CommandExitError(result);
    return result;
  }

  /** Stops receiving output; the command goes on, and `commands.connect(pid)` finds it again. */
  async disconnect(): Promise<void> {
    this.#controls.disconnect();
  }

  /** Ends the command at once (SIGKILL). False when it had ended. */
  kill(): Promise<boolean> {
    return this.#controls.kill();
  }

  /** Needs `stdin: true` at the start. */
  sendStdin(data: string | Uint8Array): Promise<void> {
    return this.#controls.sendStdin(data);
  }

  /** The command reads end-of-file. */
  closeStdin(): Promise<void> {
    return this.#controls.closeStdin();
  }

  async #follow(
    events: AsyncIterable<ProcessStreamMessage>,
    { onStdout, onStderr }: OutputListeners,
  ): Promise<CommandResult> {
    // A character may be split between two pieces.
    const decoders = { stdout: new TextDecoder(), stderr: new TextDecoder() };
    for await (const { event } of events) {
      if ('data' in event) {
        if ('stdout' in event.data) {
          const text = decoders.stdout.decode(fromBase64(event.data.stdout), { stream: true });
          this.#stdout += text;
          if (text !== '') await onStdout?.(text);
        } else if ('stderr' in event.data) {
          const text = decoders.stderr.decode(fromBase64(event.data.stderr), { stream: true });
          this.#stderr += text;
          if (text !== '') await onStderr?.(text);
        }
      } else if ('end' in event) {
        const { exitCode = 0, error } = event.end;
        this.#result = { exitCode, stdout: this.#stdout, stderr: this.#stderr, ...(error !== undefined && { error }) };
        return this.#result;
      }
    }
    throw new SandboxError("the command's events ended without its end");
  }
}
