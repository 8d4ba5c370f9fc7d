// The server that a command talks to: the one whose data directory was given.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ConnectionFile } from '@sandport/server/connection-file';
import { defaultDataDirectory } from '@sandport/server/settings';
import type { Command } from 'commander';
import { SandportError } from 'sandport';
import { trustAuthority } from './trust.ts';

const HEALTH_MS = 3000;

export interface DataFlag {
  readonly data?: string;
}

/** A subcommand that talks to a running server. */
export function clientCommand(program: Command, usage: string): Command {
  return program.command(usage).option('--data <dir>', 'data directory of the server');
}

export function dataDirectory({ data }: DataFlag): string {
  return data ?? defaultDataDirectory();
}

/** Reads how to reach the server, trusts its authority, and sees that it answers. */
export async function connect(flags: DataFlag): Promise<ConnectionFile> {
  const directory = dataDirectory(flags);
  let connection: ConnectionFile;
  try {
    connection = JSON.parse(await readFile(join(directory, 'connection.json'), 'utf8')) as ConnectionFile;
  } catch (error) {
    const denied = (error as NodeJS.ErrnoException).code === 'EACCES';
    const message = denied
      ? `${directory} is only for root: use sudo`
      : `no Sandport has run with ${directory}: start one with "npm start"`;
    throw new SandportError('connection_failed', message, { cause: error });
  }
  await trustAuthority(connection.caPath);
  try {
    const { ok } = await fetch(`${connection.apiUrl}/health`, { signal: AbortSignal.timeout(HEALTH_MS) });
    if (ok) return connection;
  } catch {
    // Said below, the same for every way not to answer.
  }
  throw new SandportError(
    'connection_failed',
    `Sandport does not answer at ${connection.apiUrl}: start it with "npm start"`,
  );
}

/** Options for the SDK. */
export async function sdkOptions(flags: DataFlag): Promise<{ apiKey: string; domain: string }> {
  const { apiKey, domain } = await connect(flags);
  return { apiKey, domain };
}
