// What connections cost that are open and do nothing.
import type { Site, StartContestant } from './contestant.ts';
import { proxyCores } from './cores.ts';
import { IdleConnections } from './loads.ts';
import { memoryMiB } from './processes.ts';

const CONNECTIONS = 10_000;
const SETTLE_MS = 2000;

/** Each proxy alone and from its start, so that nothing of earlier work counts. */
export async function measureMemory(
  starts: readonly StartContestant[],
  site: Site,
  signal: AbortSignal,
): Promise<void> {
  for (const scheme of ['http', 'https'] as const) await measure(scheme, starts, site, signal);
}

async function measure(
  scheme: 'http' | 'https',
  starts: readonly StartContestant[],
  site: Site,
  signal: AbortSignal,
): Promise<void> {
  const isSecure = scheme === 'https';
  const how = isSecure ? 'in TLS ' : '';
  console.log(`memory: ${CONNECTIONS} idle keep-alive connections ${how}that have had one answer each`);
  console.log(`  ${''.padEnd(22)}${'MiB without'.padStart(14)}${'MiB with'.padStart(12)}${'KiB each'.padStart(12)}`);
  for (const start of starts) {
    signal.throwIfAborted();
    await using stack = new AsyncDisposableStack();
    const { name, pids, [scheme]: address } = await start(site, proxyCores(1), stack);
    const before = memoryMiB(pids);
    await using _idle = await IdleConnections.open(site, address, CONNECTIONS, { isSecure });
    await new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
    const during = memoryMiB(pids);
    const each = ((during - before) * 1024) / CONNECTIONS;
    console.log(
      `  ${name.padEnd(22)}${before.toFixed(0).padStart(14)}${during.toFixed(0).padStart(12)}${each.toFixed(1).padStart(12)}`,
    );
  }
  console.log('');
}
