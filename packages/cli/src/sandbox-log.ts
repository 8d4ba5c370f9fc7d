// The log of one sandbox, from the API, and what is added to it.
import { setTimeout as delay } from 'node:timers/promises';
import { SandportError } from 'sandport';
import { callApi } from './call-api.ts';
import type { DataFlag } from './connection.ts';

const LOOK_MS = 400;
/** As many as the API tells at once. */
const PAGE = 1000;

interface Entry {
  readonly timestamp: string;
  readonly level: string;
  readonly message: string;
  readonly fields: Readonly<Record<string, string>>;
}

export interface SandboxLogFlags extends DataFlag {
  readonly follow?: boolean;
  readonly number: number;
  readonly level: string;
  readonly json?: boolean;
}

export async function printSandboxLog(id: string, flags: SandboxLogFlags): Promise<void> {
  const ask = async (query: Readonly<Record<string, string>>): Promise<Entry[]> => {
    const asked = new URLSearchParams({ ...query, level: flags.level, limit: String(PAGE) });
    const answer = await callApi(flags, 'GET', `/v2/sandboxes/${encodeURIComponent(id)}/logs?${asked}`);
    return (answer as { logs: Entry[] }).logs;
  };
  const print = (entry: Entry) => console.log(flags.json ? plain(JSON.stringify(entry)) : line(entry));

  const before = (await ask({ direction: 'backward' })).reverse();
  for (const entry of before.slice(Math.max(0, before.length - flags.number))) print(entry);
  // Several entries can have one time: it is asked for again, and what was told is left out. It is not counted: with a
  // pause the entries of the agent go from the answer.
  let told = withLastTime(before);
  while (flags.follow) {
    await delay(LOOK_MS);
    const from = told[0]?.timestamp;
    let entries: Entry[];
    try {
      entries = await ask({ direction: 'forward', ...(from && { cursor: String(Date.parse(from)) }) });
    } catch (error) {
      if (error instanceof SandportError && error.code === 'sandbox_not_found') return;
      throw error;
    }
    const known = new Set(told.map((entry) => JSON.stringify(entry)));
    const added = entries.filter((entry) => !known.has(JSON.stringify(entry)));
    for (const entry of added) print(entry);
    if (added.length > 0) told = withLastTime([...told, ...added]);
  }
}

function withLastTime(entries: readonly Entry[]): readonly Entry[] {
  const last = entries.at(-1)?.timestamp;
  return entries.filter(({ timestamp }) => timestamp === last);
}

function line({ timestamp, level, message, fields }: Entry): string {
  const { logger = '', ...rest } = fields;
  const more = Object.entries(rest).map(([name, value]) => `${name}=${JSON.stringify(value)}`);
  return plain([timestamp, level.padEnd(5), logger, message, ...more].join('  '));
}

/** What comes from a sandbox moves no cursor and sets no title of a terminal. */
function plain(text: string): string {
  return text.replace(/\p{Cc}/gu, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`);
}
