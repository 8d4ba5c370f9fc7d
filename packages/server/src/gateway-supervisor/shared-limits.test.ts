// Limits that hold for all workers together.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempDisposable } from 'node:fs/promises';
import { Agent, createServer, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { TrafficLimits, TrafficUsage } from '@sandport/protocol/routes';
import { freePort } from '../gateway/testing/free-port.ts';
import { testTls } from '../gateway/testing/test-tls.ts';
import { GatewaySupervisor } from './gateway-supervisor.ts';
import { SharedTraffic } from './shared-traffic.ts';

const WORKERS = 3;

/** Several workers before one server. */
async function start(limits: Partial<TrafficLimits>) {
  const stack = new AsyncDisposableStack();
  const origin = createServer((_request, response) => response.end('hello'));
  await once(origin.listen(0, '127.0.0.1'), 'listening');
  stack.defer(() => {
    origin.closeAllConnections();
    origin.close();
  });
  const directory = stack.use(await mkdtempDisposable(join(tmpdir(), 'sandport-limits-')));
  const port = await freePort();
  const supervisor = stack.use(
    new GatewaySupervisor({
      socketPath: join(directory.path, 'gateway.sock'),
      settings: {
        domain: 'box.test',
        listen: [{ host: '127.0.0.1', port }],
        limits: { connectionsPerSandbox: 0, connectionsPerClient: 0, requestsPerSecond: 0, bodyBytes: 0, ...limits },
      },
      tls: testTls,
      services: [],
      workers: WORKERS,
      log: { info() {}, warn() {}, error() {} },
    }),
  );
  await supervisor.start();
  await supervisor.setRoute({ sandboxId: 'abc', generation: '1', address: '127.0.0.1', access: { kind: 'public' } });
  const host = `${(origin.address() as AddressInfo).port}-abc.box.test`;
  const get = (agent: Agent): Promise<number> =>
    new Promise((resolve, reject) => {
      const sent = request({ host: '127.0.0.1', port, headers: { host }, agent }, (response) => {
        response.resume().on('end', () => resolve(response.statusCode ?? 0));
      });
      sent.on('error', reject).end();
    });
  return { stack, supervisor, get };
}

const keepAlive = (stack: AsyncDisposableStack): Agent => {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  stack.defer(() => agent.destroy());
  return agent;
};

test('connections from one address are counted in all workers together', async () => {
  const limit = 30;
  const { stack, get } = await start({ connectionsPerClient: limit });
  await using _ = stack;
  const held = Array.from({ length: limit }, () => keepAlive(stack));
  for (const agent of held) assert.equal(await get(agent), 200);
  // Each worker has a third of them, and refuses what comes as soon as it has heard of the others.
  const one = new Agent({ keepAlive: false });
  let status: number;
  do status = await get(one);
  while (status === 200);
  assert.equal(status, 429);
  for (const agent of held) agent.destroy();
  do status = await get(one);
  while (status === 429);
  assert.equal(status, 200);
});

test('what one worker had is free again when it is killed', async () => {
  const limit = 12;
  const { stack, supervisor, get } = await start({ connectionsPerClient: limit });
  await using _ = stack;
  for (const agent of Array.from({ length: limit }, () => keepAlive(stack))) assert.equal(await get(agent), 200);
  const one = new Agent({ keepAlive: false });
  while ((await get(one)) === 200);
  for (const pid of supervisor.pids) process.kill(pid, 'SIGKILL');
  let status: number | undefined;
  do status = await get(one).catch(() => undefined);
  while (status !== 200);
});

test('requests a second to one sandbox too, whichever worker they come to', async () => {
  const limit = 60;
  const { stack, get } = await start({ requestsPerSecond: limit });
  await using _ = stack;
  const agents = Array.from({ length: 24 }, () => keepAlive(stack));
  let passed = 0;
  let refused = 0;
  const begun = performance.now();
  // Each asks more often than the limit allows for all of them.
  await Promise.all(
    agents.map(async (agent) => {
      for (let n = 0; n < 200; n++) {
        if ((await get(agent)) === 200) passed++;
        else refused++;
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    }),
  );
  const seconds = (performance.now() - begun) / 1000;
  assert(refused > 0);
  // In the first two seconds each worker may not know of the others yet; from then on they share.
  const most = 2 * WORKERS * limit + 1.25 * limit * seconds;
  assert(passed <= most, `${passed} in ${seconds} s, at most ${most}`);
  assert(passed >= (limit * seconds) / 2, `${passed} in ${seconds} s`);
});

test('each worker is told the sum of what the others have, once', () => {
  const told: [string, TrafficUsage][] = [];
  const traffic = new SharedTraffic<string>((worker, usage) => told.push([worker, usage]));
  const of = (sandboxes: TrafficUsage['sandboxes']): TrafficUsage => ({ sandboxes, clients: [], requests: [] });
  for (const worker of ['a', 'b', 'c']) traffic.add(worker);
  told.length = 0;
  traffic.set('a', of([['x', 3]]));
  traffic.set(
    'b',
    of([
      ['x', 2],
      ['y', 1],
    ]),
  );
  assert.deepEqual(told, [
    ['b', of([['x', 3]])],
    ['c', of([['x', 3]])],
    [
      'a',
      of([
        ['x', 2],
        ['y', 1],
      ]),
    ],
    [
      'c',
      of([
        ['x', 5],
        ['y', 1],
      ]),
    ],
  ]);
  told.length = 0;
  traffic.delete('b');
  assert.deepEqual(told, [
    ['a', of([])],
    ['c', of([['x', 3]])],
  ]);
});
