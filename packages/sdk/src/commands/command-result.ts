// How a command ended.
import { SandboxError } from '../errors.ts';

export interface CommandResult {
  /** -1 when a signal ended it. */
  readonly exitCode: number;
  /** What went wrong, such as `signal: killed`; absent when it ended with 0. */
  readonly error?: string;
  readonly stdout: string;
  readonly stderr: string;
}

/** A command that ended with another code than 0. */
export class CommandExitError extends SandboxError implements CommandResult {
  override name = 'CommandExitError';
  readonly exitCode: number;
  readonly error: string;
  readonly stdout: string;
  readonly stderr: string;

  constructor(result: CommandResult) {
    const error = result.error ?? `exit status ${result.exitCode}`;
    super(error, { code: 'command_failed' });
    this.exitCode = result.exitCode;
    this.error = error;
    this.stdout = result.stdout;
    this.stderr = result.stderr;
  }
}
