// Whether a request costs more the more sandboxes there are, and how soon a change of a route is in effect.
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import { DOMAIN } from '@sandport/server/gateway/testing/fake-control';
import { Samples } from '../support/samples.ts';
import type { Site } from './contestant.ts';
import { proxyCores } from './cores.ts';
import { wrk } from './loads.ts';
import { type Address, cpuSeconds } from './processes.ts';
import { routeTo, startGateway } from './proxies/sandport.ts';
import { Series } from './series.ts';

const SIZES = [1, 1000, 100_000];
/** Requests go to so many of the sandboxes, spread over all of them. */
const ASKED = 64;
const SECONDS = 2;
const CHANGES = 100;

export async function measureRoutes(site: Site, rounds: number, signal: AbortSignal): Promise<void> {
  await using stack = new AsyncDisposableStack();
  const gateways = [];
  for (const size of SIZES) {
    const routes = Array.from({ length: size }, (_, i) => routeTo(site, `s${i}`));
    const { contestant, control } = await startGateway(proxyCores(1), routes, stack);
    const script = join(site.directory, `routes-${size}.lua`);
    writeFileSync(script, wrkScript(site, size));
    gateways.push({ contestant, control, script, series: new Series(String(size)) });
  }
  for (let round = 0; round <= rounds; round++) {
    for (const { contestant, script, series } of gateways) {
      signal.throwIfAborted();
      const before = cpuSeconds(contestant.pids);
      const { count, seconds } = await wrk(contestant.http, 'http', SECONDS, [], script);
      const cpu = (cpuSeconds(contestant.pids) - before) / count;
      if (round > 0) series.add(count / seconds, cpu * 1e6);
    }
  }
  console.log(`routes: 1 KiB GET, 64 keep-alive connections, requests to up to ${ASKED} sandboxes in turn`);
  console.log(
    `  ${'sandboxes'.padEnd(22)}${'requests/s'.padStart(14)}${'CPU us/request'.padStart(20)}${'to 1'.padStart(8)}`,
  );
  for (const { series } of gateways) {
    const ratio = series.cpuRatio(gateways[0]!.series).toFixed(2);
    console.log(
      `  ${series.name.padEnd(22)}${series.value.toFixed(0).padStart(14)}${series.cpu.toFixed(1).padStart(20)}${ratio.padStart(8)}`,
    );
  }
  const { control, contestant } = gateways.at(-1)!;
  const applied = new Samples();
  const served = new Samples();
  for (let i = 0; i < CHANGES; i++) {
    signal.throwIfAborted();
    const start = performance.now();
    await control.apply({ type: 'set-route', route: routeTo(site, `new${i}`) });
    applied.add(performance.now() - start);
    await untilAnswered(contestant.http, `${site.files.port}-new${i}.${DOMAIN}`);
    served.add(performance.now() - start);
  }
  console.log(
    `  a new route with ${SIZES.at(-1)} others, ms: confirmed after ${inMs(applied)}; answering after ${inMs(served)}\n`,
  );
}

const inMs = (samples: Samples): string =>
  `${samples.median.toFixed(2)} (median), ${samples.quantile(0.99).toFixed(2)} (99th percentile)`;

function wrkScript(site: Site, size: number): string {
  const asked = Math.min(size, ASKED);
  const hosts = Array.from({ length: asked }, (_, i) => Math.floor((i * size) / asked)).map(
    (i) => `"GET /1k HTTP/1.1\\r\\nHost: ${site.files.port}-s${i}.${DOMAIN}\\r\\n\\r\\n"`,
  );
  return `local requests = { ${hosts.join(', ')} }
local i = 0
function request()
  i = i % #requests + 1
  return requests[i]
end
`;
}

async function untilAnswered(target: Address, host: string): Promise<void> {
  const sent = request({ ...target, path: '/1k', headers: { host }, agent: false });
  sent.end();
  const [response] = await once(sent, 'response');
  response.resume();
  if (response.statusCode !== 200) throw new Error(`a new route answers ${response.statusCode}`);
}
