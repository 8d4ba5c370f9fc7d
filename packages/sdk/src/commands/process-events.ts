// The events of a process in a form that needs no further checks. What an agent sends is input.
import type { ProcessStreamMessage } from '@sandport/protocol/process-rpc';
import { fromBase64 } from '../base64.ts';
import { SandboxError } from '../errors.ts';

export type ProcessEvent =
  | { readonly type: 'start'; readonly pid: number }
  | { readonly type: 'stdout' | 'stderr' | 'pty'; readonly bytes: Uint8Array }
  | { readonly type: 'end'; readonly exitCode: number; readonly error: string | undefined }
  /** A keep-alive, or something newer than this client. */
  | { readonly type: 'other' };

/** Throws a SandboxError when `message` is none. */
export function readEvent(message: ProcessStreamMessage): ProcessEvent {
  try {
    const { event } = message;
    if ('start' in event) return { type: 'start', pid: number(event.start.pid) };
    if ('end' in event) {
      // An exit code of 0 is absent on the wire.
      return { type: 'end', exitCode: number(event.end.exitCode ?? 0), error: event.end.error };
    }
    if ('data' in event) {
      if ('stdout' in event.data) return { type: 'stdout', bytes: fromBase64(event.data.stdout) };
      if ('stderr' in event.data) return { type: 'stderr', bytes: fromBase64(event.data.stderr) };
      if ('pty' in event.data) return { type: 'pty', bytes: fromBase64(event.data.pty) };
    }
    return { type: 'other' };
  } catch (error) {
    throw new SandboxError(`the agent sent a malformed event: ${(error as Error).message}`, { cause: error });
  }
}

function number(value: unknown): number {
  if (typeof value !== 'number') throw new TypeError(`${typeof value} in place of a number`);
  return value;
}
