// sandport start (npm start): a server in the foreground with a first sandbox to look at.
import type { Command } from 'commander';
import { printAddresses, printUsage } from '../server-lines.ts';
import { addServerOptions, type ServerFlags, serverOptions } from './server-options.ts';

export function addStartCommand(program: Command): void {
  addServerOptions(program.command('start'))
    .description('run Sandport in the foreground and show a first sandbox at its public URL')
    .option('--keep', 'leave sandboxes running at the end')
    .option('--no-demo', 'without the first sandbox')
    .action(async (flags: ServerFlags & { demo: boolean }) => {
      const { serve } = await import('../serve.ts');
      await serve(serverOptions(flags), async (server, stopped) => {
        printAddresses(server);
        if (flags.demo) {
          const { showFirstSandbox } = await import('../first-sandbox.ts');
          await showFirstSandbox(server, stopped);
        }
        printUsage(server, flags.data);
      });
    });
}
