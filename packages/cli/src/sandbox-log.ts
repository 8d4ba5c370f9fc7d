// The log of one sandbox, from the API, and what is added to it.
import { setTimeout as delay } from 'node:timers/promises';
import { Sandbox, type SandboxLogEntry, type SandboxLogLevel, SandportError } from 'sandport';
import { type DataFlag, sdkOptions } from './connection.ts';
import { ToldEntries } from './told-entries.ts';

const LOOK_MS = 400;

export interface SandboxLogFlags extends DataFlag {
  readonly follow?: boolean;
  readonly number: number;
  readonly level: SandboxLogLevel;
  readonly json?: boolean;
}

export async function printSandboxLog(id: string, flags: SandboxLogFlags): Promise<void> {
  const options = { ...(await sdkOptions(flags)), level: flags.level };
  const print = (entry: SandboxLogEntry) => console.log(flags.json ? plain(JSON.stringify(entry)) : line(entry));

  const before = await Sandbox.getLogs(id, options);
  for (const entry of before.slice(Math.max(0, before.length - flags.number))) print(entry);
  const told = new ToldEntries();
  told.add(before);
  while (flags.follow) {
    await delay(LOOK_MS);
    try {
      for (const entry of told.add(await Sandbox.getLogs(id, { ...options, start: told.start }))) print(entry);
    } catch (error) {
      if (error instanceof SandportError && error.code === 'sandbox_not_found') return;
      throw error;
    }
  }
}

function line({ timestamp, level, message, fields }: SandboxLogEntry): string {
  const { logger = '', ...rest } = fields;
  const more = Object.entries(rest).map(([name, value]) => `${name}=${JSON.stringify(value)}`);
  return plain([timestamp.toISOString(), level.padEnd(5), logger, message, ...more].join('  '));
}

/** What comes from a sandbox moves no cursor and sets no title of a terminal. */
function plain(text: string): string {
  return text.replace(/\p{Cc}/gu, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`);
}
