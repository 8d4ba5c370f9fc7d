// Sandport's gateway: the worker process that serves public URLs, fed with routes over its own control link.
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { defaultTrafficLimits, type Route } from '@sandport/protocol/routes';
import { FakeControl } from '@sandport/server/gateway/testing/fake-control';
import type { Contestant, Site, StartContestant } from '../contestant.ts';
import { SANDBOX_ID } from '../origin.ts';

export const routeTo = (site: Site, sandboxId: string): Route => ({
  sandboxId,
  generation: 'bench',
  address: site.files.host,
  access: { kind: 'public' },
});

export const startSandport: StartContestant = async (site, cores, stack) =>
  (await startGateway(cores, [routeTo(site, SANDBOX_ID)], stack)).contestant;

/** Workers are compiled before, as all are on a machine but the first ones. */
function compileWorker(): void {
  if (process.env.NODE_COMPILE_CACHE !== undefined) return;
  const cache = mkdtempSync(join(tmpdir(), 'sandport-bench-compiled-'));
  process.once('exit', () => rmSync(cache, { recursive: true, force: true }));
  process.env.NODE_COMPILE_CACHE = cache;
  // Without arguments it says how it is used, and ends.
  spawnSync(process.execPath, [fileURLToPath(import.meta.resolve('@sandport/server/gateway/worker'))]);
}

/** All connections come from one address here. They are counted as elsewhere. */
const settings = { limits: { ...defaultTrafficLimits, connectionsPerClient: 1_000_000 } };

/** One worker for each core, all on one port. */
export async function startGateway(
  cores: readonly number[],
  routes: Route[],
  stack: AsyncDisposableStack,
): Promise<{ contestant: Contestant; control: FakeControl }> {
  compileWorker();
  const workers: FakeControl[] = [];
  for (const core of cores) {
    const worker = stack.use(await FakeControl.start(routes, [], undefined, workers[0]?.port, settings));
    execFileSync('taskset', ['--all-tasks', '--cpu-list', '--pid', String(core), String(worker.worker.pid)]);
    workers.push(worker);
  }
  const control = workers[0]!;
  const address = { host: '127.0.0.1', port: control.port };
  const pids = workers.map(({ worker }) => worker.pid!);
  return { contestant: { name: 'Sandport', http: address, https: address, pids }, control };
}
