// sandport url: the public URL of a port.
import { formatHostName } from '@sandport/protocol/host-name';
import type { Command } from 'commander';
import { InvalidArgumentError, Sandbox } from 'sandport';
import { clientCommand, type DataFlag, sdkOptions } from '../connection.ts';
import { runningSandbox } from '../running-sandbox.ts';

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
      if (!flags.signed && !flags.revoke) {
        const options = await sdkOptions(flags);
        // A paused one has its URLs too.
        const { sandboxId } = await Sandbox.getInfo(id, options);
        console.log(publicUrl(Number(port), sandboxId, options.domain));
        return;
      }
      const sandbox = await runningSandbox(id, flags);
      if (flags.revoke) await sandbox.revokeSignedUrls();
      const url = flags.signed
        ? await sandbox.getSignedUrl(Number(port), { expiresIn: flags.expires })
        : sandbox.getUrl(Number(port));
      console.log(url);
    });
}

function publicUrl(port: number, sandboxId: string, domain: string): string {
  try {
    return `https://${formatHostName(port, sandboxId, domain)}`;
  } catch (error) {
    throw new InvalidArgumentError((error as Error).message, { cause: error });
  }
}
