// sandport url: the public URL of a port.
import type { Command } from 'commander';
import { InvalidArgumentError, Sandbox } from 'sandport';
import { clientCommand, type DataFlag, sdkOptions } from '../connection.ts';

export function addUrlCommand(program: Command): void {
  clientCommand(program, 'url <id> <port>')
    .description('print the public URL of a port of a sandbox')
    .action(async (id: string, port: string, flags: DataFlag) => {
      if (!/^\d{1,5}$/.test(port)) throw new InvalidArgumentError(`port is "${port}"; expected 1 to 65535`);
      const sandbox = await Sandbox.connect(id, { ...(await sdkOptions(flags)), timeoutMs: 0 });
      console.log(sandbox.getUrl(Number(port)));
    });
}
