import assert from 'node:assert/strict';
import { once } from 'node:events';
import { existsSync, mkdirSync, readdirSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, request, type Server } from 'node:http';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import type { Route } from '@sandport/protocol/routes';
import { freePort } from '../gateway/testing/free-port.ts';
import { testTls } from '../gateway/testing/test-tls.ts';
import { identify } from '../process-identity.ts';
import { GatewaySupervisor } from './gateway-supervisor.ts';

const ORIGIN = '127.0.0.31';
const silent = { info() {}, warn() {}, error() {} };

let origin: Server;
let originPort: number;
let directory: string;

before(async () => {
  origin = createServer((_request, response) => response.end('hello'));
  originPort = await freePort(ORIGIN);
  origin.listen(originPort, ORIGIN);
  await once(origin, 'listening');
  directory = await mkdtemp(join(tmpdir(), 'sandport-supervisor-'));
});

after(async () => {
  origin.closeAllConnections();
  origin.close();
  await rm(directory, { recursive: true, force: true });
});

let files = 0;

async function prepare(workers: number, over: { port?: number; socketPath?: string } = {}) {
  const port = over.port ?? (await freePort());
  const socketPath = over.socketPath ?? join(await mkdtemp(join(directory, `${++files}-`)), 'gateway.sock');
  const supervisor = new GatewaySupervisor({
    socketPath,
    settings: { domain: 'box.test', listen: [{ host: '127.0.0.1', port }] },
    tls: testTls,
    services: [],
    workers,
    compileCache: join(directory, 'compiled'),
    log: silent,
  });
  return { supervisor, port, socketPath };
}

const route: Route = { sandboxId: 'abc', generation: '1', address: ORIGIN, access: { kind: 'public' } };

async function status(port: number): Promise<number | undefined> {
  const sent = request({ host: '127.0.0.1', port, headers: { host: `${originPort}-abc.box.test` }, agent: false });
  sent.end();
  const [response] = await once(sent, 'response');
  response.resume();
  return response.statusCode;
}

async function until(condition: () => boolean, what: string): Promise<void> {
  const deadline = performance.now() + 10_000;
  while (!condition()) {
    if (performance.now() > deadline) throw new Error(`still not: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

const gone = (pids: readonly number[]) => pids.every((pid) => identify(pid) === undefined);

describe('gateway supervisor', () => {
  it('serves routes in every worker, and leaves no process and no socket behind', async () => {
    const { supervisor, port, socketPath } = await prepare(2);
    await supervisor.start();
    const pids = [...supervisor.pids];
    assert.equal(pids.length, 2);
    assert.equal(statSync(socketPath).mode & 0o777, 0o600);
    assert.equal(await status(port), 502);
    await supervisor.setRoute(route);
    // Enough connections for the kernel to have chosen both.
    for (let i = 0; i < 20; i++) assert.equal(await status(port), 200);
    await supervisor.deleteRoute('abc');
    for (let i = 0; i < 20; i++) assert.equal(await status(port), 502);
    await supervisor.stop({ graceMs: 1000 });
    assert.ok(gone(pids));
    assert.ok(!existsSync(socketPath));
  });

  it('keeps what the compiler made of a worker for the next, and removes what is a month old', async () => {
    const { supervisor } = await prepare(1);
    const old = join(directory, 'compiled', 'v0-of-another-time', 'entry');
    mkdirSync(dirname(old), { recursive: true });
    writeFileSync(old, '');
    utimesSync(old, 0, 0);
    await using _ = supervisor;
    await supervisor.start();
    // Below a directory for the version of Node.
    const files = readdirSync(join(directory, 'compiled'), { recursive: true });
    assert.ok(files.length > 10, `${files.length} files`);
    assert.ok(!existsSync(old));
  });

  it('replaces a worker that is killed, which then knows the routes', async () => {
    const { supervisor, port } = await prepare(1);
    await using _ = supervisor;
    await supervisor.start();
    await supervisor.setRoute(route);
    const [first] = supervisor.pids;
    process.kill(first!, 'SIGKILL');
    await until(() => supervisor.pids.length === 1 && supervisor.pids[0] !== first, 'another worker');
    let answered: number | undefined;
    while (answered === undefined) answered = await status(port).catch(() => undefined);
    assert.equal(answered, 200);
  });

  it('adopts the workers of a control process before it, which went on serving', async () => {
    const before = await prepare(2);
    await before.supervisor.start();
    await before.supervisor.setRoute(route);
    const pids = [...before.supervisor.pids].sort();
    await before.supervisor.stop({ graceMs: 0, keepWorkers: true });
    assert.equal(await status(before.port), 200);

    const { supervisor } = await prepare(2, before);
    await using _ = supervisor;
    await supervisor.setRoute({ ...route, sandboxId: 'other' });
    await supervisor.start();
    assert.deepEqual([...supervisor.pids].sort(), pids);
    // What the new control process does not know is gone, in all of them.
    for (let i = 0; i < 10; i++) assert.equal(await status(before.port), 502);
    await supervisor.setRoute(route);
    for (let i = 0; i < 10; i++) assert.equal(await status(before.port), 200);
  });

  it('replaces adopted workers that listen elsewhere', async () => {
    const before = await prepare(1);
    await before.supervisor.start();
    const pids = [...before.supervisor.pids];
    await before.supervisor.stop({ graceMs: 0, keepWorkers: true });
    const { supervisor, port } = await prepare(1, { socketPath: before.socketPath });
    await using _ = supervisor;
    await supervisor.start();
    assert.ok(gone(pids));
    assert.equal(await status(port), 502);
  });

  it('says which address is in use, and leaves nothing running', async () => {
    const { supervisor, port, socketPath } = await prepare(1, { port: originPort });
    const blocker = createServer().listen(port, '127.0.0.1');
    await once(blocker, 'listening');
    await assert.rejects(supervisor.start(), new RegExp(`127\\.0\\.0\\.1:${port} is in use by another program`));
    assert.deepEqual(supervisor.pids, []);
    assert.ok(!existsSync(socketPath));
    blocker.close();
  });

  it('reports a worker that cannot start', async () => {
    const { socketPath, port } = await prepare(1);
    const supervisor = new GatewaySupervisor({
      socketPath,
      settings: { domain: 'box.test', listen: [{ host: '127.0.0.1', port }] },
      tls: { ...testTls, cert: 'no certificate' },
      services: [],
      workers: 1,
      log: silent,
    });
    await assert.rejects(supervisor.start(), /gateway worker cannot start: .*PEM/i);
    await until(() => gone(supervisor.pids), 'no worker left');
  });
});
