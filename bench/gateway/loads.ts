// Runs the programs that make load, on the processors beside the proxy's, and reads what they print.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Site } from './contestant.ts';
import { loadCores } from './cores.ts';
import type { Address } from './processes.ts';

export interface LoadResult {
  /** Requests, messages, handshakes or bytes. */
  readonly count: number;
  readonly seconds: number;
  /** Milliseconds, only of the load `latency`. */
  readonly p50?: number;
  readonly p99?: number;
}

/** Load of ours: `bench/gateway/load`. */
export async function ownLoad(site: Site, name: string, flags: Readonly<Record<string, string>>): Promise<LoadResult> {
  const args = Object.entries(flags).map(([flag, value]) => `-${flag}=${value}`);
  const text = await run(site.load, [name, ...args]);
  const result = JSON.parse(text) as LoadResult & { errors: number; error?: string };
  if (result.errors > 0) throw new Error(`${name}: ${result.errors} errors, such as: ${result.error}`);
  return result;
}

export async function wrk(
  target: Address,
  scheme: 'http' | 'https',
  seconds: number,
  headers: string[],
  script?: string,
) {
  const text = await run('wrk', [
    ...['--threads', '1', '--connections', '64', '--duration', `${seconds}s`],
    ...headers.flatMap((header) => ['--header', header]),
    ...(script === undefined ? [] : ['--script', script]),
    `${scheme}://${target.host}:${target.port}/1k`,
  ]);
  const counted = /(\d+) requests in ([\d.]+)(ms|s)/.exec(text);
  if (counted === null || /Non-2xx/.test(text)) throw new Error(`wrk: ${text}`);
  return { count: Number(counted[1]), seconds: Number(counted[2]) / (counted[3] === 'ms' ? 1000 : 1) };
}

/** 8 connections of 8 streams each. */
export async function h2load(target: Address, hostName: string, seconds: number): Promise<LoadResult> {
  const text = await run('h2load', [
    ...['--clients=8', '--max-concurrent-streams=8', `--duration=${seconds}`, '--warm-up-time=0'],
    ...[`--connect-to=${target.host}:${target.port}`, `https://${hostName}:${target.port}/1k`],
  ]);
  const counted = /requests: \d+ total, \d+ started, (\d+) done, (\d+) succeeded, (\d+) failed/.exec(text);
  const took = /finished in ([\d.]+)(ms|s)/.exec(text);
  if (counted === null || took === null || counted[1] !== counted[2]) throw new Error(`h2load: ${text}`);
  return { count: Number(counted[2]), seconds: Number(took[1]) / (took[2] === 'ms' ? 1000 : 1) };
}

async function run(program: string, args: readonly string[]): Promise<string> {
  const child = spawn('taskset', ['--cpu-list', loadCores, program, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  let errors = '';
  child.stdout.on('data', (chunk: Buffer) => {
    output += chunk.toString();
  });
  child.stderr.on('data', (chunk: Buffer) => {
    errors += chunk.toString();
  });
  const [code] = await once(child, 'close');
  if (code !== 0) throw new Error(`${program} ended with ${code}: ${errors}${output}`);
  return output;
}

/** Connections that are open and do nothing, until disposed of. */
export class IdleConnections implements AsyncDisposable {
  readonly #end: () => Promise<void>;

  private constructor(end: () => Promise<void>) {
    this.#end = end;
  }

  static async open(
    site: Site,
    target: Address,
    connections: number,
    { source = '127.0.0.1', isSecure = false } = {},
  ): Promise<IdleConnections> {
    const args = [
      ...['idle', `-target=${target.host}:${target.port}`, `-host=${site.files.hostName}`],
      ...[`-source=${source}`, `-tls=${isSecure}`],
    ];
    const command = ['--cpu-list', loadCores, site.load, ...args, `-connections=${connections}`];
    const child = spawn('taskset', command, { stdio: ['pipe', 'pipe', 'inherit'] });
    const exited = once(child, 'exit');
    const opened = await Promise.race([once(child.stdout, 'data'), exited.then(() => undefined)]);
    if (opened === undefined) throw new Error('the load of idle connections ended');
    return new IdleConnections(async () => {
      child.stdin.end();
      await exited;
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#end();
  }
}
