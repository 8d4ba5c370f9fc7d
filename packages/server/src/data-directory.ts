// The data directory: who this instance is, and its secret. Nothing in it is readable by anyone but root.
import { randomBytes, randomInt } from 'node:crypto';
import { chmod, mkdir, realpath } from 'node:fs/promises';
import { join } from 'node:path';
import { readIfThere, writeFileAtomically } from './files.ts';

/** Where gateway workers find the control process, in the data directory. */
export const GATEWAY_SOCKET = 'gateway.sock';
/** Where records are kept, in the data directory. */
export const DATABASE = 'sandport.db';

export interface DataDirectory {
  readonly path: string;
  /** Short name of this instance in the names of its namespaces, interfaces, cgroups and rules. */
  readonly instance: string;
  /** From which the tokens of sandboxes are derived. */
  readonly seed: Uint8Array;
  /** A file or directory inside. */
  file(name: string): string;
}

interface IdentityFile {
  readonly instance: string;
  /** 32 bytes, hex. */
  readonly seed: string;
}

export async function openDataDirectory(path: string): Promise<DataDirectory> {
  // Others may pass through: processes of a sandbox under runc are led through it to their file system.
  await mkdir(path, { recursive: true, mode: 0o711 });
  await chmod(path, 0o711);
  const real = await realpath(path);
  const file = join(real, 'identity.json');
  let text = await readIfThere(file);
  if (text === undefined) {
    const identity: IdentityFile = { instance: newInstanceName(), seed: randomBytes(32).toString('hex') };
    text = JSON.stringify(identity);
    await writeFileAtomically(file, text, 0o600);
  }
  await mkdir(join(real, 'logs'), { recursive: true, mode: 0o700 });
  const identity = JSON.parse(text) as IdentityFile;
  return {
    path: real,
    instance: identity.instance,
    seed: Buffer.from(identity.seed, 'hex'),
    file: (name) => join(real, name),
  };
}

function newInstanceName(): string {
  const alphabet = 'abcdefghijklmnopqrstuvwxyz0123456789';
  return Array.from({ length: 6 }, () => alphabet[randomInt(alphabet.length)]).join('');
}
