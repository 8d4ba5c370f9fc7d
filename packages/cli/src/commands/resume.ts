// sandport resume: has paused sandboxes go on.
import type { Command } from 'commander';
import { Sandbox } from 'sandport';
import { clientCommand, type DataFlag, sdkOptions } from '../connection.ts';

export function addResumeCommand(program: Command): void {
  clientCommand(program, 'resume <ids...>')
    .description('resume paused sandboxes; one that runs lives at least five minutes more')
    .action(async (ids: string[], flags: DataFlag) => {
      const options = await sdkOptions(flags);
      for (const id of ids) {
        await Sandbox.connect(id, options);
        console.log(`${id} running`);
      }
    });
}
