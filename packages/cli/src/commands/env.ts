// sandport env: the exports that make every program written for either SDK use this server.
import type { Command } from 'commander';
import { clientCommand, connect, type DataFlag } from '../connection.ts';
import { programEnvironment } from '../program-environment.ts';
import { quoteForShell } from '../shell-quote.ts';

export function addEnvCommand(program: Command): void {
  clientCommand(program, 'env')
    .description('print the environment of programs that use the e2b SDK or sandport: eval "$(sandport env)"')
    .action(async (flags: DataFlag) => {
      for (const [name, value] of Object.entries(programEnvironment(await connect(flags)))) {
        console.log(`export ${name}=${quoteForShell(value)}`);
      }
    });
}
