// What the agent costs in every sandbox, and how long a trivial command takes, beside what Node does without us.
import { wantedParts } from '../support/wanted-parts.ts';
import { measureCommands } from './commands.ts';
import { measureIdle } from './idle.ts';

const parts: Readonly<Record<string, (rounds: number, signal: AbortSignal) => Promise<void>>> = {
  idle: measureIdle,
  commands: measureCommands,
};

export async function benchmarkAgent(options: {
  readonly rounds: number;
  readonly only: readonly string[];
  readonly signal: AbortSignal;
}): Promise<void> {
  const { rounds, only, signal } = options;
  const wanted = wantedParts(only, Object.keys(parts));
  for (const [name, measure] of Object.entries(parts)) {
    if (wanted(name)) await measure(rounds, signal);
  }
}
