// sandport kill: ends sandboxes.
import type { Command } from 'commander';
import { InvalidArgumentError, Sandbox } from 'sandport';
import { clientCommand, type DataFlag, sdkOptions } from '../connection.ts';

export function addKillCommand(program: Command): void {
  clientCommand(program, 'kill [ids...]')
    .description('kill sandboxes')
    .option('--all', 'every sandbox there is')
    .action(async (ids: string[], flags: DataFlag & { all?: boolean }) => {
      if (ids.length === 0 && !flags.all) throw new InvalidArgumentError('give sandbox IDs, or --all');
      const options = await sdkOptions(flags);
      for (const id of flags.all ? await allIds(options) : ids) {
        const killed = await Sandbox.kill(id, options);
        console.log(killed ? `${id} killed` : `${id} was not there`);
        if (!killed && !flags.all) process.exitCode = 1;
      }
    });
}

async function allIds(options: { apiKey: string; domain: string }): Promise<string[]> {
  const ids: string[] = [];
  for (const pages = Sandbox.list(options); pages.hasNext; ) {
    ids.push(...(await pages.nextItems()).map(({ sandboxId }) => sandboxId));
  }
  return ids;
}
