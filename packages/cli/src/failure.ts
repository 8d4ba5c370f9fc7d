// How a command says that it failed: what was wrong, and what to do.
import { SandportError } from 'sandport';

export function printFailure(error: unknown, debug: boolean): void {
  if (debug) console.error(error);
  console.error(`sandport: ${error instanceof Error ? error.message : String(error)}`);
  // What a machine lacks is said with its remedy in the message.
  if (error instanceof SandportError && error.code !== 'machine_not_ready') console.error(`  ${error.hint}`);
}
