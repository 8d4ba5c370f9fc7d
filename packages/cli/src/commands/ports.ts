// sandport ports: what servers in a sandbox listen on.
import type { Command } from 'commander';
import type { PortInfo } from 'sandport';
import { clientCommand, type DataFlag } from '../connection.ts';
import { runningSandbox } from '../running-sandbox.ts';

export function addPortsCommand(program: Command): void {
  clientCommand(program, 'ports <id>')
    .description('list the ports that servers in a sandbox listen on, with their URLs')
    .option('--json', 'as JSON lines')
    .action(async (id: string, flags: DataFlag & { json?: boolean }) => {
      const sandbox = await runningSandbox(id, flags);
      for (const port of await sandbox.ports.list()) console.log(flags.json ? JSON.stringify(port) : line(port));
    });
}

function line({ port, url, program, pid }: PortInfo): string {
  return [port, url, ...(program === undefined ? [] : [`${program} (${pid})`])].join('  ');
}
