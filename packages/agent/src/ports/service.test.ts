import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type Server } from 'node:net';
import { after, before, test } from 'node:test';
import type { ListeningPort } from '@sandport/protocol/ports-rpc';
import { startAgent, type TestAgent } from '../testing/agent-process.ts';
import { until } from '../testing/until.ts';

let agent: TestAgent;

before(async () => {
  agent = await startAgent();
});
after(() => agent[Symbol.asyncDispose]());

async function listen(host: string): Promise<{ server: Server; port: number } & AsyncDisposable> {
  const server = createServer();
  server.listen(0, host);
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  return {
    server,
    port,
    async [Symbol.asyncDispose]() {
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

async function list(): Promise<ListeningPort[]> {
  return (await agent.client.unary('sandport.Ports/List', {})).body.ports ?? [];
}

interface Seen {
  readonly start?: { readonly ports?: readonly ListeningPort[] };
  readonly opened?: ListeningPort;
  readonly closed?: ListeningPort;
}

function watch(signal: AbortSignal): Seen[] {
  const seen: Seen[] = [];
  const read = async (): Promise<void> => {
    for await (const item of agent.client.stream('sandport.Ports/Watch', {}, { signal })) seen.push(item as Seen);
  };
  read().catch(() => {});
  return seen;
}

test('what listens is listed, with who does', async () => {
  await using all = await listen('::');
  await using loopback = await listen('127.0.0.1');
  const ports = await list();
  const found = ports.find(({ port }) => port === all.port);
  assert.deepEqual(found?.addresses, ['::']);
  assert.equal(found?.loopbackOnly, undefined);
  assert.equal(found?.pid, process.pid);
  assert.equal(ports.find(({ port }) => port === loopback.port)?.loopbackOnly, true);
  assert.deepEqual(
    ports.map(({ port }) => port),
    ports.map(({ port }) => port).toSorted((left, right) => left - right),
  );
});

test('a watch begins with what is open, and tells what opens and closes, as long as somebody listens', async () => {
  await using before = await listen('127.0.0.1');
  const abort = new AbortController();
  const seen = watch(abort.signal);
  await until('it has begun', () => seen.length > 0);
  assert(seen[0]!.start?.ports?.some(({ port }) => port === before.port));
  let port: number;
  {
    await using opened = await listen('::1');
    port = opened.port;
    await until('it is told', () => seen.some((item) => item.opened?.port === port));
  }
  await until('its end is told', () => seen.some((item) => item.closed?.port === port));
  const opened = seen.find((item) => item.opened?.port === port)?.opened;
  assert.deepEqual([opened?.addresses, opened?.loopbackOnly, opened?.pid], [['::1'], true, process.pid]);
  abort.abort();
});

test('a second watch is told what is open too', async () => {
  const abort = new AbortController();
  const first = watch(abort.signal);
  await until('the first has begun', () => first.length > 0);
  await using opened = await listen('127.0.0.1');
  await until('it is told', () => first.some((item) => item.opened?.port === opened.port));
  const second = watch(abort.signal);
  await until('the second has begun', () => second.length > 0);
  assert(second[0]!.start?.ports?.some(({ port }) => port === opened.port));
  abort.abort();
});
