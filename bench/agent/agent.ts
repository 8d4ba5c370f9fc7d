// What the agent costs in every sandbox, and how long a trivial command takes, beside what Node does without us.
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
  const unknown = only.find((name) => !Object.hasOwn(parts, name));
  if (unknown !== undefined) throw new Error(`--only ${unknown}: expected some of ${Object.keys(parts).join(',')}`);
  for (const [name, measure] of Object.entries(parts)) {
    if (only.length === 0 || only.includes(name)) await measure(rounds, signal);
  }
}
