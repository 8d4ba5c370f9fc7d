// sandport trust: has this machine's programs trust the server's own authority.
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { copyFile, mkdir, rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import type { Command } from 'commander';
import { SandportError } from 'sandport';
import { clientCommand, type DataFlag, dataDirectory } from '../connection.ts';

interface TrustFlags extends DataFlag {
  readonly undo?: boolean;
}

/** Where distributions keep authorities that were added, and what makes them count. */
const STORES = [
  // Debian, Ubuntu, Alpine
  {
    directory: '/usr/local/share/ca-certificates',
    suffix: 'crt',
    command: 'update-ca-certificates',
    after: ['--fresh'],
  },
  // Fedora, RHEL
  { directory: '/etc/pki/ca-trust/source/anchors', suffix: 'pem', command: 'update-ca-trust', after: [] },
  // openSUSE
  { directory: '/etc/pki/trust/anchors', suffix: 'pem', command: 'update-ca-certificates', after: [] },
] as const;

export function addTrustCommand(program: Command): void {
  clientCommand(program, 'trust')
    .description("put the server's own authority into this machine's store, so that programs trust its URLs")
    .option('--undo', 'take it out again')
    .action(async (flags: TrustFlags) => {
      const data = resolve(dataDirectory(flags));
      const authority = join(data, 'tls', 'ca.pem');
      if (!flags.undo && !existsSync(authority)) {
        throw new SandportError(
          'machine_not_ready',
          `there is no authority in ${data}: start Sandport once, or give --data`,
        );
      }
      if (process.getuid?.() !== 0)
        throw new SandportError('machine_not_ready', 'only root changes that store: use sudo');
      const store = STORES.find(({ directory }) => existsSync(directory));
      if (store === undefined) {
        throw new SandportError(
          'not_supported',
          `this machine has no store that is known here; import ${authority} by hand`,
        );
      }
      await mkdir(store.directory, { recursive: true });
      const path = join(store.directory, `sandport-${nameOf(data)}.${store.suffix}`);
      if (flags.undo) await rm(path, { force: true });
      else await copyFile(authority, path);
      await promisify(execFile)(store.command, flags.undo ? [...store.after] : []);
      if (flags.undo) {
        console.log(`${path} is gone; programs of this machine no longer trust that authority`);
        return;
      }
      const option = flags.data === undefined ? '' : ` --data ${flags.data}`;
      console.log(`programs of this machine now trust Sandport's authority (${path})

to undo it:  sudo npx sandport trust --undo${option}
Firefox and Chromium have stores of their own: import ${authority} there`);
    });
}

/** Tells the authorities of several data directories apart. */
function nameOf(data: string): string {
  return data.replace(/[^A-Za-z0-9]+/g, '-').replace(/^-|-$/g, '');
}
