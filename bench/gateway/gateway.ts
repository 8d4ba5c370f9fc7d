// Sandport's gateway beside nginx, HAProxy, Caddy and Go's reverse proxy, each on one processor, doing the same work.
import { wantedParts } from '../support/wanted-parts.ts';
import type { Contestant, Site, StartContestant } from './contestant.ts';
import { enoughForOne, proxyCores } from './cores.ts';
import { measureIdle100k } from './idle-100k.ts';
import { measureMemory } from './memory.ts';
import { startOrigin } from './origin.ts';
import { cpuSeconds } from './processes.ts';
import { startCaddy } from './proxies/caddy.ts';
import { startGo } from './proxies/go.ts';
import { startHaproxy } from './proxies/haproxy.ts';
import { startNginx, startNginxLargeBuffers } from './proxies/nginx.ts';
import { startSandport } from './proxies/sandport.ts';
import { measureRoutes } from './routes.ts';
import { Series } from './series.ts';
import { measureWorkers } from './workers.ts';
import { type Work, works } from './works.ts';

/** In the order of a round. The first is what is measured, the second the peer of the first ratio. */
const starts: readonly StartContestant[] = [
  startSandport,
  startNginx,
  startNginxLargeBuffers,
  startGo,
  startHaproxy,
  startCaddy,
];
const SETTLE_MS = 50;

/** What is measured once, or in rounds of its own. */
const others: Readonly<Record<string, (site: Site, rounds: number, signal: AbortSignal) => Promise<void>>> = {
  routes: measureRoutes,
  workers: measureWorkers,
};
const MEMORY = 'memory';
/** What takes part only when it is named: it needs the descriptors, ports and memory for it. */
const named: typeof others = { 'idle-100k': measureIdle100k };

export async function benchmarkGateway(options: {
  readonly rounds: number;
  readonly only: readonly string[];
  readonly signal: AbortSignal;
}): Promise<void> {
  const { rounds, only, signal } = options;
  const names = [...works.map(({ name }) => name), MEMORY, ...Object.keys(others), ...Object.keys(named)];
  const wanted = wantedParts(only, names);
  if (!enoughForOne) throw new Error('at least 2 processors are needed: one for the proxy, one for the load');
  await using stack = new AsyncDisposableStack();
  const site = await startOrigin(stack);
  const chosen = works.filter(({ name }) => wanted(name));
  if (chosen.length > 0) await compare(chosen, site, rounds, signal);
  if (wanted(MEMORY)) await measureMemory(starts, site, signal);
  for (const [name, measure] of Object.entries(others)) if (wanted(name)) await measure(site, rounds, signal);
  for (const [name, measure] of Object.entries(named)) if (only.includes(name)) await measure(site, rounds, signal);
}

async function compare(chosen: readonly Work[], site: Site, rounds: number, signal: AbortSignal): Promise<void> {
  await using stack = new AsyncDisposableStack();
  const all: Contestant[] = [];
  for (const start of starts) all.push(await start(site, proxyCores(1), stack));
  const large = all[starts.indexOf(startNginxLargeBuffers)]!;
  // What nginx does in the round that is not counted decides the rate at which latency is measured.
  const rate = (await works[0]!.run(all[1]!, site, 0)).value / 2;
  console.log(`gateway: ${rounds} rounds in turns; latency at ${rate.toFixed(0)} requests/s\n`);
  for (const work of chosen) {
    const contestants = all.filter((one) => one !== large || work.isLarge === true);
    const series = contestants.map(({ name }) => new Series(name));
    for (let round = 0; round <= rounds; round++) {
      for (const [i, contestant] of contestants.entries()) {
        signal.throwIfAborted();
        const before = cpuSeconds(contestant.pids);
        const { value, count } = await work.run(contestant, site, rate);
        // What was asked for last may still be on its way.
        await new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
        const cpu = (cpuSeconds(contestant.pids) - before) / count;
        // The first round warms up caches, connections and compilers.
        if (round > 0) series[i]!.add(value, cpu * 1e6);
      }
    }
    print(work, series);
  }
}

function print({ name, title, unit, cpuPer, smallerIsBetter }: Work, series: readonly Series[]): void {
  const [ours, ...peers] = series;
  const digits = smallerIsBetter === true ? 2 : 0;
  console.log(`${name}: ${title}`);
  console.log(
    `  ${''.padEnd(22)}${unit.padStart(14)}${'ratio'.padStart(8)}${`CPU us/${cpuPer}`.padStart(20)}${'ratio'.padStart(8)}`,
  );
  for (const one of [ours!, ...peers]) {
    const ratio = one === ours ? '' : ours!.valueRatio(one).toFixed(2);
    const cpuRatio = one === ours ? '' : ours!.cpuRatio(one).toFixed(2);
    console.log(
      `  ${one.name.padEnd(22)}${one.value.toFixed(digits).padStart(14)}${ratio.padStart(8)}${one.cpu.toFixed(1).padStart(20)}${cpuRatio.padStart(8)}`,
    );
  }
  console.log('');
}
