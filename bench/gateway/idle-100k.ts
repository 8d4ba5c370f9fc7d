// What 100,000 connections cost that are open and do nothing, and whether others are served beside them. A process has
// file descriptors for fewer on many machines: several workers share them, and several clients hold them.
import type { Site } from './contestant.ts';
import { proxyCores } from './cores.ts';
import { IdleConnections, ownLoad } from './loads.ts';
import { SANDBOX_ID } from './origin.ts';
import { memoryMiB } from './processes.ts';
import { routeTo, startGateway } from './proxies/sandport.ts';

const CONNECTIONS = 100_000;
const WORKERS = 6;
const CLIENTS = 6;
/** Requests per second of others. */
const RATE = 1000;
const SETTLE_MS = 3000;

export async function measureIdle100k(site: Site, _rounds: number, signal: AbortSignal): Promise<void> {
  await using stack = new AsyncDisposableStack();
  const cores = Array<number>(WORKERS).fill(proxyCores(1)[0]!);
  const { contestant } = await startGateway(cores, [routeTo(site, SANDBOX_ID)], stack);
  const { http, pids } = contestant;
  console.log(
    `idle-100k: ${CONNECTIONS} idle keep-alive connections that have had one answer each, ${WORKERS} workers`,
  );
  const alone = await others(site, http);
  const before = memoryMiB(pids);
  const opening = Array.from({ length: CLIENTS }, async (_, i) => {
    const connections = Math.floor((CONNECTIONS + i) / CLIENTS);
    stack.use(await IdleConnections.open(site, http, connections, { source: `127.0.1.${i + 1}` }));
  });
  await Promise.all(opening);
  signal.throwIfAborted();
  await new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
  const during = memoryMiB(pids);
  const beside = await others(site, http);
  const each = ((during - before) * 1024) / CONNECTIONS;
  console.log(
    `  memory of the workers: ${before.toFixed(0)} MiB without, ${during.toFixed(0)} MiB with, ${each.toFixed(1)} KiB each`,
  );
  console.log(`  ${RATE} requests/s of others: ${alone} without, ${beside} with\n`);
}

async function others(site: Site, target: { readonly host: string; readonly port: number }): Promise<string> {
  const flags = { target: `${target.host}:${target.port}`, host: site.files.hostName, seconds: '5', rate: `${RATE}` };
  // Fails on any error.
  const { count, p50, p99 } = await ownLoad(site, 'latency', flags);
  return `${count} answered, median ${p50?.toFixed(2)} ms, 99th percentile ${p99?.toFixed(2)} ms`;
}
