// What happened with a sandbox and in it.
import type { SandboxLogEntry as EntryAnswer } from '@sandport/protocol/api';
import { callApi } from './api-client.ts';
import type { ConnectionOptions } from './connection-config.ts';

export type SandboxLogLevel = EntryAnswer['level'];

export interface SandboxLogEntry {
  readonly timestamp: Date;
  readonly level: SandboxLogLevel;
  readonly message: string;
  /** What more is told; `logger` says who tells it: `sandbox`, the server, or a part of the agent in the sandbox. */
  readonly fields: Readonly<Record<string, string>>;
}

export interface SandboxLogOptions extends ConnectionOptions {
  /** Entries from this time on. Default: the newest ones. */
  readonly start?: Date | undefined;
  /** 1 to 1,000. Default 1,000. */
  readonly limit?: number | undefined;
  /** Only what is so grave. Default `debug`: all. */
  readonly level?: SandboxLogLevel | undefined;
  /** Only entries with this text in their message, up to 256 characters. */
  readonly search?: string | undefined;
}

/** @param path of the sandbox */
export async function readLogs(path: string, options: SandboxLogOptions): Promise<SandboxLogEntry[]> {
  const { start, limit, level, search } = options;
  const query = new URLSearchParams({ direction: start === undefined ? 'backward' : 'forward' });
  if (start !== undefined) query.set('cursor', String(start.getTime()));
  if (limit !== undefined) query.set('limit', String(limit));
  if (level !== undefined) query.set('level', level);
  if (search !== undefined) query.set('search', search);
  const { data } = await callApi<{ logs: EntryAnswer[] }>(options, 'GET', `${path}/logs?${query}`);
  const entries = data.logs.map(({ timestamp, ...entry }) => ({ ...entry, timestamp: new Date(timestamp) }));
  return start === undefined ? entries.reverse() : entries;
}
