// sandport events: what happened in the lives of sandboxes.
import type { Command } from 'commander';
import { type LifecycleEvent, Sandbox } from 'sandport';
import { clientCommand, type DataFlag, sdkOptions } from '../connection.ts';
import { wholeNumber } from '../whole-number.ts';

export function addEventsCommand(program: Command): void {
  clientCommand(program, 'events [id]')
    .description('print what happened in the lives of sandboxes, or of one, also when it has ended')
    .option('-n, --number <number>', 'how many of the newest (1 to 100)', wholeNumber, 20)
    .option('--json', 'as JSON lines')
    .action(async (id: string | undefined, flags: DataFlag & { number: number; json?: boolean }) => {
      const events = await Sandbox.listEvents({ ...(await sdkOptions(flags)), sandboxId: id, limit: flags.number });
      for (const event of events.reverse()) console.log(flags.json ? JSON.stringify(event) : line(event));
    });
}

function line({ timestamp, sandboxId, type, killReason, data }: LifecycleEvent): string {
  const more = killReason ?? (typeof data.set_timeout === 'string' ? `ends ${data.set_timeout}` : '');
  return [timestamp.toISOString(), sandboxId, type, more].join('  ').trimEnd();
}
