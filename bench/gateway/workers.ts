// What a second worker on a second processor adds.
import type { Site } from './contestant.ts';
import { enoughForTwo, proxyCores } from './cores.ts';
import { wrk } from './loads.ts';
import { SANDBOX_ID } from './origin.ts';
import { cpuSeconds } from './processes.ts';
import { routeTo, startGateway } from './proxies/sandport.ts';
import { Series } from './series.ts';

const SECONDS = 2;

export async function measureWorkers(site: Site, rounds: number, signal: AbortSignal): Promise<void> {
  await using stack = new AsyncDisposableStack();
  const gateways = [];
  for (const workers of [1, 2]) {
    const routes = [routeTo(site, SANDBOX_ID)];
    const { contestant } = await startGateway(proxyCores(workers), routes, stack);
    gateways.push({ contestant, series: new Series(String(workers)) });
  }
  for (let round = 0; round <= rounds; round++) {
    for (const { contestant, series } of gateways) {
      signal.throwIfAborted();
      const before = cpuSeconds(contestant.pids);
      const { count, seconds } = await wrk(contestant.http, 'http', SECONDS, [`Host: ${site.files.hostName}`]);
      const cpu = (cpuSeconds(contestant.pids) - before) / count;
      if (round > 0) series.add(count / seconds, cpu * 1e6);
    }
  }
  const [one, two] = gateways.map(({ series }) => series) as [Series, Series];
  console.log('workers: 1 KiB GET, 64 keep-alive connections, each worker on a processor of its own');
  for (const series of [one, two]) {
    console.log(
      `  ${series.name.padEnd(22)}${series.value.toFixed(0).padStart(14)} requests/s, CPU us/request ${series.cpu.toFixed(1)}`,
    );
  }
  if (enoughForTwo) console.log(`  two to one: ${two.valueRatio(one).toFixed(2)}\n`);
  else {
    const projected = 2 / two.cpuRatio(one);
    console.log(
      `  two to one by processor time: ${projected.toFixed(2)}; the load needs a processor of its own to see it as a rate\n`,
    );
  }
}
