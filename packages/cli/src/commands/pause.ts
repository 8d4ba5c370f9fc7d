// sandport pause: puts sandboxes away, to go on later where they were.
import type { Command } from 'commander';
import { Sandbox } from 'sandport';
import { clientCommand, type DataFlag, sdkOptions } from '../connection.ts';

export function addPauseCommand(program: Command): void {
  clientCommand(program, 'pause <ids...>')
    .description('pause sandboxes, with what runs in them')
    .option('--no-memory', 'keep the files alone')
    .action(async (ids: string[], flags: DataFlag & { memory: boolean }) => {
      const options = { ...(await sdkOptions(flags)), ...(!flags.memory && { keepMemory: false }) };
      for (const id of ids) {
        console.log((await Sandbox.pause(id, options)) ? `${id} paused` : `${id} was paused already`);
      }
    });
}
