// sandport url: the public URL of a port.
import type { Command } from 'commander';
import { InvalidArgumentError, Sandbox } from 'sandport';
import { clientCommand, type DataFlag, sdkOptions } from '../connection.ts';

interface UrlFlags extends DataFlag {
  readonly signed?: boolean;
  readonly expires?: string;
  readonly revoke?: boolean;
}

export function addUrlCommand(program: Command): void {
  clientCommand(program, 'url <id> <port>')
    .description('print the public URL of a port of a sandbox')
    .option('--signed', 'one that opens a private port for a time, without the token')
    .option('--expires <duration>', 'how long a signed one works, such as 30s, 15m, 1h or 7d (default: 1h)')
    .option('--revoke', 'end every signed URL of the sandbox first')
    .action(async (id: string, port: string, flags: UrlFlags) => {
      if (!/^\d{1,5}$/.test(port)) throw new InvalidArgumentError(`port is "${port}"; expected 1 to 65535`);
      if (flags.expires !== undefined && !flags.signed) throw new InvalidArgumentError('--expires needs --signed');
      const sandbox = await Sandbox.connect(id, { ...(await sdkOptions(flags)), timeoutMs: 0 });
      if (flags.revoke) await sandbox.revokeSignedUrls();
      const url = flags.signed
        ? await sandbox.getSignedUrl(Number(port), { expiresIn: flags.expires })
        : sandbox.getUrl(Number(port));
      console.log(url);
    });
}
