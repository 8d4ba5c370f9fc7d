// sandport up: a server in the foreground.
import type { Command } from 'commander';
import { printAddresses, printUsage } from '../server-lines.ts';
import { addServerOptions, type ServerFlags, serverOptions } from './server-options.ts';

export function addUpCommand(program: Command): void {
  addServerOptions(program.command('up'))
    .description('run Sandport in the foreground until Ctrl-C')
    .option('--keep', 'leave sandboxes running at the end')
    .action(async (flags: ServerFlags) => {
      const { serve } = await import('../serve.ts');
      await serve(serverOptions(flags), async (server) => {
        printAddresses(server);
        printUsage(server, flags.data);
      });
    });
}
