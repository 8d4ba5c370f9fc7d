import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { ALL_TRAFFIC, InvalidArgumentError, Sandbox, SandboxNotFoundError, TimeoutError } from './index.ts';
import { FakeServer, json, SANDBOX_ID } from './testing/fake-server.ts';

let server: FakeServer;
before(async () => {
  server = await FakeServer.start();
});
after(() => server[Symbol.asyncDispose]());

function lastBody(): Record<string, unknown> {
  return JSON.parse(server.seen.at(-1)!.body.toString()) as Record<string, unknown>;
}

test('create without options asks for "base", secured, for 300 s', async () => {
  await Sandbox.create(server.options);
  assert.deepEqual(lastBody(), { templateID: 'base', timeout: 300, secure: true });
});

test('create takes the template as argument or option, and sends every option in its wire form', async () => {
  await Sandbox.create('mine', {
    ...server.options,
    timeoutMs: 1500,
    secure: false,
    metadata: { a: 'b' },
    envs: { X: '1' },
    allowInternetAccess: false,
    network: {
      allowPublicTraffic: false,
      maskRequestHost: 'localhost:${PORT}',
      allowOut: ['192.0.2.1'],
      denyOut: ({ allTraffic }) => [allTraffic],
    },
  });
  assert.deepEqual(lastBody(), {
    templateID: 'mine',
    timeout: 2,
    secure: false,
    metadata: { a: 'b' },
    envVars: { X: '1' },
    allow_internet_access: false,
    network: {
      allowPublicTraffic: false,
      maskRequestHost: 'localhost:${PORT}',
      allowOut: ['192.0.2.1'],
      denyOut: [ALL_TRAFFIC],
    },
  });
  await Sandbox.create({ ...server.options, template: 'other' });
  assert.equal(lastBody().templateID, 'other');
});

test('options of the e2b client that there are not here are refused, not dropped in silence', async () => {
  const sent = server.seen.length;
  const network: object = { httpsPorts: [3000] };
  await assert.rejects(Sandbox.create({ ...server.options, network }), /network.httpsPorts is not supported/);
  const lifecycles: object[] = [
    { onTimeout: 'stop' },
    { onTimeout: 'kill', autoResume: true },
    { onTimeout: { action: 'pause', keepMemory: false }, autoResume: true },
  ];
  for (const lifecycle of lifecycles) {
    const options: object = { ...server.options, lifecycle };
    await assert.rejects(Sandbox.create(options), InvalidArgumentError);
  }
  await assert.rejects(Sandbox.create({ ...server.options, timeoutMs: Number.NaN }), /timeoutMs is NaN/);
  assert.equal(server.seen.length, sent);
});

test('host names and URLs have the port first and keep the port of the gateway', async () => {
  const sandbox = await Sandbox.create(server.options);
  assert.equal(sandbox.getHost(3000), `3000-${SANDBOX_ID}.box.test:8443`);
  assert.equal(sandbox.getUrl(3000), `https://3000-${SANDBOX_ID}.box.test:8443`);
  assert.equal(sandbox.sandboxDomain, 'box.test:8443');
  assert.equal(sandbox.trafficAccessToken, undefined);
  for (const port of [0, 65_536, 1.5, Number.NaN]) assert.throws(() => sandbox.getHost(port), InvalidArgumentError);
});

test('a server may name another domain for its sandboxes, and a token', async () => {
  server.on(`POST /sandboxes/${SANDBOX_ID}/connect`, (response, { body }) =>
    json(200, { sandboxID: SANDBOX_ID, domain: 'two.test', trafficAccessToken: 'tt', asked: `${body}` })(response, {
      route: '',
      headers: {},
      body,
    }),
  );
  const sandbox = await Sandbox.connect(SANDBOX_ID, { ...server.options, timeoutMs: 60_000 });
  assert.deepEqual(lastBody(), { timeout: 60 });
  assert.equal(sandbox.getHost(80), `80-${SANDBOX_ID}.two.test`);
  assert.equal(sandbox.trafficAccessToken, 'tt');
});

test('the agent is asked with its token and the routing headers; 502 means that the sandbox is gone', async () => {
  const sandbox = await Sandbox.create(server.options);
  assert.equal(await sandbox.isRunning(), true);
  const { headers } = server.seen.at(-1)!;
  assert.deepEqual(
    [headers['x-access-token'], headers['e2b-sandbox-id'], headers['e2b-sandbox-port']],
    ['agent-token', SANDBOX_ID, '49983'],
  );
  assert.equal(headers['x-api-key'], undefined, 'the sandbox never sees the API key');
  server.on('GET /health', json(502, { sandboxId: SANDBOX_ID, message: 'The sandbox was not found', code: 502 }));
  assert.equal(await sandbox.isRunning(), false);
  server.on('GET /health', () => {});
  await assert.rejects(sandbox.isRunning({ requestTimeoutMs: 50 }), TimeoutError);
  server.on('GET /health', (response) => response.writeHead(204).end());
});

test('kill is false for a sandbox that is not there', async () => {
  server.on(`DELETE /sandboxes/${SANDBOX_ID}`, (response) => response.writeHead(204).end());
  assert.equal(await Sandbox.kill(SANDBOX_ID, server.options), true);
  server.on(`DELETE /sandboxes/${SANDBOX_ID}`, json(404, { code: 404, message: 'gone' }));
  const sandbox = await Sandbox.create(server.options);
  assert.equal(await sandbox.kill(), false);
});

test('"await using" kills at the end of the block', async () => {
  {
    await using _sandbox = await Sandbox.create(server.options);
  }
  assert.equal(server.seen.at(-1)!.route, `DELETE /sandboxes/${SANDBOX_ID}`);
});

test('setTimeout, getInfo and updateNetwork reach their routes, by ID and by object', async () => {
  server.on(`POST /sandboxes/${SANDBOX_ID}/timeout`, (response) => response.writeHead(204).end());
  server.on(`PUT /sandboxes/${SANDBOX_ID}/network`, (response) => response.writeHead(204).end());
  server.on(
    `GET /sandboxes/${SANDBOX_ID}`,
    json(200, {
      sandboxID: SANDBOX_ID,
      templateID: 'base',
      alias: 'base',
      startedAt: '2026-01-01T00:00:00.000Z',
      endAt: '2026-01-01T00:05:00.000Z',
      state: 'running',
      cpuCount: 2,
      memoryMB: 512,
      envdVersion: '0.6.13',
      envdAccessToken: 'agent-token',
    }),
  );
  const sandbox = await Sandbox.create(server.options);
  await sandbox.setTimeout(90_000);
  assert.deepEqual(lastBody(), { timeout: 90 });
  await Sandbox.updateNetwork(SANDBOX_ID, { allowInternetAccess: false }, server.options);
  assert.deepEqual(lastBody(), { allow_internet_access: false });
  const info = await sandbox.getInfo();
  assert.equal(info.endAt.getTime() - info.startedAt.getTime(), 300_000);
  assert.deepEqual([info.name, info.metadata], ['base', {}]);
  server.on(`GET /sandboxes/${SANDBOX_ID}`, json(404, { code: 404, message: 'gone' }));
  await assert.rejects(Sandbox.getInfo(SANDBOX_ID, server.options), SandboxNotFoundError);
});

test('the signal of create is for create alone', async () => {
  const controller = new AbortController();
  const sandbox = await Sandbox.create({ ...server.options, signal: controller.signal });
  controller.abort();
  assert.equal(await sandbox.isRunning(), true);
});

test('a class made from Sandbox creates its own kind', async () => {
  class Notebook extends Sandbox {
    readonly cells = 0;
  }
  const created = await Notebook.create(server.options);
  assert.equal(created.cells, 0);
  assert(created instanceof Notebook);
});

test('the list goes on while the server names a next page; a page that failed can be asked for again', async () => {
  const row = { sandboxID: SANDBOX_ID, templateID: 'base', startedAt: 0, endAt: 0, state: 'running' };
  server.on('GET /v2/sandboxes', json(500, { code: 500, message: 'once' }));
  const pages = Sandbox.list({
    ...server.options,
    limit: 1,
    order: 'asc',
    query: { metadata: { 'a&b': 'c=d é' }, state: ['running', 'paused'] },
  });
  await assert.rejects(pages.nextItems(), /once/);
  server.on('GET /v2/sandboxes', json(200, [row], { 'x-next-token': 'two' }));
  assert.equal((await pages.nextItems()).length, 1);
  const first = new URLSearchParams(server.seen.at(-1)!.route.split('?')[1]);
  assert.equal(first.get('state'), 'running,paused');
  const [[key, value] = ['', '']] = [...new URLSearchParams(first.get('metadata')!)];
  assert.deepEqual([decodeURIComponent(key), decodeURIComponent(value)], ['a&b', 'c=d é']);
  assert.deepEqual([pages.hasNext, pages.nextToken], [true, 'two']);
  server.on('GET /v2/sandboxes', json(200, [row]));
  await pages.nextItems();
  assert.equal(new URLSearchParams(server.seen.at(-1)!.route.split('?')[1]).get('nextToken'), 'two');
  assert.equal(pages.hasNext, false);
  await assert.rejects(pages.nextItems(), /no more/);
});
