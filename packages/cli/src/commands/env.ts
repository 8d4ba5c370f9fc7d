// sandport env: the exports that make every program written for either SDK use this server.
import type { Command } from 'commander';
import { clientCommand, connect, type DataFlag } from '../connection.ts';
import { programEnvironment } from '../program-environment.ts';

export function addEnvCommand(program: Command): void {
  clientCommand(program, 'env')
    .description('print the environment of programs that use the e2b SDK or sandport: eval "$(sandport env)"')
    .action(async (flags: DataFlag) => {
      for (const [name, value] of Object.entries(programEnvironment(await connect(flags)))) {
        console.log(`export ${name}=${quote(value)}`);
      }
    });
}

/** For a POSIX shell: in single quotes everything but a single quote stands for itself. */
function quote(value: string): string {
  return `'${value.replaceAll("'", "'\\''")}'`;
}
