// What a sandbox uses.
import type { SandboxMetric } from '@sandport/protocol/api';
import { callApi } from './api-client.ts';
import type { ConnectionOptions } from './connection-config.ts';

export interface SandboxMetrics {
  readonly timestamp: Date;
  readonly cpuCount: number;
  /** Of all its processors, 0 to 100, since the sample before. */
  readonly cpuUsedPct: number;
  /** Bytes; without `memCache`. */
  readonly memUsed: number;
  readonly memTotal: number;
  /** Bytes of files that are kept in memory and could be read again. */
  readonly memCache: number;
  readonly diskUsed: number;
  readonly diskTotal: number;
}

export interface SandboxMetricsOptions extends ConnectionOptions {
  /** Samples from this time on. Default: the oldest that is kept, of half an hour. */
  readonly start?: Date | undefined;
  /** Samples up to this time. Default: now. */
  readonly end?: Date | undefined;
}

export async function readMetrics(path: string, options: SandboxMetricsOptions): Promise<SandboxMetrics[]> {
  const query = new URLSearchParams();
  for (const name of ['start', 'end'] as const) {
    const time = options[name];
    if (time !== undefined) query.set(name, String(Math.round(time.getTime() / 1000)));
  }
  const { data } = await callApi<SandboxMetric[]>(options, 'GET', query.size === 0 ? path : `${path}?${query}`);
  return data.map(({ timestamp, timestampUnix: _seconds, ...used }) => ({ timestamp: new Date(timestamp), ...used }));
}
