// Failures of the agent itself: on stderr while it starts, where the host reads them, and in the sandbox's log once there
// is one, which is bounded.
import { closeSync, fstatSync, openSync } from 'node:fs';
import type { EventLog } from './event-log.ts';

let tell = (text: string): void => void process.stderr.write(`${text}\n`);

/** @param error its stack is told with it */
export function reportProblem(what: string, error?: unknown): void {
  if (error === undefined) tell(what);
  else tell(`${what}: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
}

export function reportProblemsTo(log: EventLog): void {
  tell = (text) => log.add('error', 'agent', text);
}

/**
 * Lets go of the files that the host has given as stdout and stderr: they are outside the sandbox and its limits, and
 * root inside could write to them by /proc. Pipes, which tests give, stay.
 */
export function leaveOutputs(): void {
  for (const fd of [1, 2]) {
    if (!fstatSync(fd).isFile()) continue;
    closeSync(fd);
    // The lowest number that is free.
    openSync('/dev/null', 'w');
  }
}
