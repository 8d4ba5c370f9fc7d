// sandport ports: what servers in a sandbox listen on.
import type { Command } from 'commander';
import { type PortInfo, Sandbox } from 'sandport';
import { clientCommand, type DataFlag, sdkOptions } from '../connection.ts';

export function addPortsCommand(program: Command): void {
  clientCommand(program, 'ports <id>')
    .description('list the ports that servers in a sandbox listen on, with their URLs')
    .option('--json', 'as JSON lines')
    .action(async (id: string, flags: DataFlag & { json?: boolean }) => {
      const sandbox = await Sandbox.connect(id, { ...(await sdkOptions(flags)), timeoutMs: 0 });
      for (const port of await sandbox.ports.list()) console.log(flags.json ? JSON.stringify(port) : line(port));
    });
}

function line({ port, url, program, pid }: PortInfo): string {
  return [port, url, ...(program === undefined ? [] : [`${program} (${pid})`])].join('  ');
}
