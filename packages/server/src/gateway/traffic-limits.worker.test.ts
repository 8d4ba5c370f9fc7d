// What happens beyond the limits, through a real worker: a clear answer, and nobody else is touched.

import assert from 'node:assert/strict';
import { connect } from 'node:http2';
import { after, before, it } from 'node:test';
import { DOMAIN, FakeControl } from './testing/fake-control.ts';
import { getFrom } from './testing/get.ts';
import { HttpOrigin } from './testing/origin.ts';
import { privateTo } from './testing/private-route.ts';
import { RawClient } from './testing/raw-client.ts';

const BODY = 200_000;
const access = { kind: 'public' } as const;

let origin: HttpOrigin;
const controls: FakeControl[] = [];

before(async () => {
  origin = await HttpOrigin.start((request, response) => {
    let length = 0;
    request.on('data', (chunk: Buffer) => (length += chunk.length));
    request.on('end', () => request.url !== '/held' && response.end(String(length)));
  });
});

after(async () => {
  for (const control of controls) await control[Symbol.asyncDispose]();
  await origin?.[Symbol.asyncDispose]();
});

async function start(limits: Partial<Record<string, number>>): Promise<FakeControl> {
  const routes = ['one', 'two'].map((sandboxId) => ({ sandboxId, generation: 'g1', address: origin.address, access }));
  const all = { connectionsPerSandbox: 0, connectionsPerClient: 0, requestsPerSecond: 0, bodyBytes: 0, ...limits };
  const control = await FakeControl.start(routes, [], undefined, undefined, { limits: all });
  controls.push(control);
  return control;
}

const host = (id: string) => `${origin.port}-${id}.${DOMAIN}`;

it('one more connection to a sandbox than there may be is answered 429, other sandboxes go on', async () => {
  const control = await start({ connectionsPerSandbox: 2 });
  const held = [1, 2].map(() => new RawClient(control.port));
  for (const client of held) client.send(`GET /held HTTP/1.1\r\nHost: ${host('one')}\r\n\r\n`);
  while (origin.connections < 2) await new Promise((resolve) => setTimeout(resolve, 5));
  const refused = await getFrom(control.port, host('one'));
  assert.equal(refused.status, 429);
  assert.deepEqual(JSON.parse(refused.body), {
    sandboxId: 'one',
    message: 'The sandbox has too many concurrent incoming connections (limit: 2)',
    code: 429,
    connectionLimit: 2,
  });
  assert.equal((await getFrom(control.port, host('two'))).status, 200);
  // A client that only ends its half still waits for its answer.
  for (const client of held) client.socket.resetAndDestroy();
  while ((await getFrom(control.port, host('one'))).status !== 200)
    await new Promise((resolve) => setTimeout(resolve, 5));
});

it('what is open on private ports ends when access to them is revoked; public ports and other sandboxes go on', async () => {
  const control = await start({});
  const token = 'e'.repeat(64);
  const ports = { only: [origin.port] };
  const route = { sandboxId: 'one', generation: 'g1', address: origin.address };
  await control.apply({ type: 'set-route', route: { ...route, access: privateTo(token, ports) } });
  const other = await HttpOrigin.start(
    (_request, response) => void response.writeHead(200).write('begun'),
    origin.address,
  );
  await using _ = other;
  const open = (name: string, port: number) => {
    const client = new RawClient(control.port);
    client.send(`GET /held HTTP/1.1\r\nHost: ${port}-${name}.${DOMAIN}\r\ne2b-traffic-access-token: ${token}\r\n\r\n`);
    return client;
  };
  const before = origin.connections;
  using closed = open('one', origin.port);
  using sibling = open('two', origin.port);
  using publicPort = open('one', other.port);
  while (origin.connections < before + 2) await new Promise((resolve) => setTimeout(resolve, 5));
  await publicPort.expect(/begun/);
  const changed = privateTo(token, ports, Buffer.alloc(32, 9));
  await control.apply({ type: 'set-route', route: { ...route, access: changed } });
  await closed.untilEnded();
  assert.equal(sibling.ended, undefined);
  assert.equal(publicPort.ended, undefined);
  const headers = { 'e2b-traffic-access-token': token };
  assert.equal((await getFrom(control.port, host('one'), { headers })).status, 200, 'who has the token comes again');
});

it('one more connection from an address is answered 429 and closed, until another one ends', async () => {
  const control = await start({ connectionsPerClient: 2 });
  const text = `GET / HTTP/1.1\r\nHost: ${host('one')}\r\n\r\n`;
  const open = [1, 2].map(() => new RawClient(control.port));
  for (const client of open) {
    client.send(text);
    await client.expect(/200 OK.*\r\n\r\n0/s);
  }
  const { status, body, headers } = await getFrom(control.port, host('one'));
  assert.deepEqual([status, headers.connection], [429, 'close']);
  assert.deepEqual(JSON.parse(body), {
    message: 'There are too many connections from your address (limit: 2)',
    code: 429,
    connectionLimit: 2,
  });
  open[1]![Symbol.dispose]();
  while ((await getFrom(control.port, host('one'))).status !== 200)
    await new Promise((resolve) => setTimeout(resolve, 5));
  open[0]!.send(text);
  await open[0]!.expect(/200 OK/);
  open[0]![Symbol.dispose]();
});

it('more requests than a sandbox may get in a second are answered 429, other sandboxes go on', async () => {
  const control = await start({ requestsPerSecond: 5 });
  const answers = await Promise.all(Array.from({ length: 30 }, () => getFrom(control.port, host('one'))));
  const refused = answers.filter(({ status }) => status === 429);
  assert(refused.length >= 10 && answers.some(({ status }) => status === 200), String(refused.length));
  assert.equal(refused[0]!.headers['retry-after'], '1');
  assert.equal((JSON.parse(refused[0]!.body) as { requestLimit: number }).requestLimit, 5);
  assert.equal((await getFrom(control.port, host('two'))).status, 200);
  while ((await getFrom(control.port, host('one'))).status !== 200)
    await new Promise((resolve) => setTimeout(resolve, 50));
});

it('bodies beyond the limit are answered 413, with a length or in chunks, in both versions of HTTP', async () => {
  const control = await start({ bodyBytes: BODY });
  const fits = await getFrom(control.port, host('one'), { method: 'POST', body: 'x'.repeat(BODY) });
  assert.deepEqual([fits.status, fits.body], [200, String(BODY)]);
  const large = await getFrom(control.port, host('one'), { method: 'POST', body: 'x'.repeat(BODY + 1) });
  assert.equal(large.status, 413);
  assert.equal((JSON.parse(large.body) as { bodyLimit: number }).bodyLimit, BODY);
  using client = new RawClient(control.port);
  client.send(`POST / HTTP/1.1\r\nHost: ${host('one')}\r\nTransfer-Encoding: chunked\r\n\r\n`);
  for (let i = 0; i < 8; i++) client.send(`ffff\r\n${'x'.repeat(0xffff)}\r\n`);
  await client.expect(/^HTTP\/1\.1 413 /);
  const session = connect(`http://127.0.0.1:${control.port}`);
  try {
    for (const more of [{ 'content-length': String(BODY + 1) }, {}]) {
      const stream = session.request({ ':method': 'POST', ':authority': host('one'), ...more });
      stream.on('error', () => {});
      const head = new Promise<Record<string, unknown>>((resolve) => stream.once('response', resolve));
      stream.write('x'.repeat(BODY + 1));
      assert.equal((await head)[':status'], 413);
      stream.close();
    }
  } finally {
    session.destroy();
  }
  assert.equal((await getFrom(control.port, host('two'))).status, 200);
});
