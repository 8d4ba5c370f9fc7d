// What a worker says of its traffic: figures, lines, and to load balancers that it is well.

import assert from 'node:assert/strict';
import { readFile, rename } from 'node:fs/promises';
import { connect } from 'node:http2';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { WorkerReport } from '@sandport/protocol/routes';
import { toPrometheus } from '../gateway-supervisor/prometheus.ts';
import { DOMAIN, FakeControl } from './testing/fake-control.ts';
import { getFrom } from './testing/get.ts';
import { HttpOrigin } from './testing/origin.ts';
import { privateTo } from './testing/private-route.ts';
import { RawClient } from './testing/raw-client.ts';

const TOKEN = 'd'.repeat(64);

let origin: HttpOrigin;
let control: FakeControl;
let log: string;

before(async () => {
  origin = await HttpOrigin.start((_request, response) => response.writeHead(201).end('x'.repeat(1000)));
  control = await FakeControl.start(
    [{ sandboxId: 'one', generation: 'g1', address: origin.address, access: privateTo(TOKEN) }],
    [],
    undefined,
    undefined,
    (directory) => ({ accessLog: join(directory, 'access.log') }),
  );
  log = join(control.directory, 'access.log');
});

after(async () => {
  await control?.[Symbol.asyncDispose]();
  await origin?.[Symbol.asyncDispose]();
});

test('answers are counted and logged, and no token is', async () => {
  const host = `${origin.port}-one.${DOMAIN}`;
  const headers = { 'e2b-traffic-access-token': TOKEN, cookie: 'secret=1', authorization: 'Bearer secret' };
  await getFrom(control.port, host, { path: '/a?secret=1', method: 'POST', headers });
  await getFrom(control.port, host, { path: `/b?sandport_access=${TOKEN}` });
  await getFrom(control.port, host, { path: '/c?sandport_access=secret' });
  const session = connect(`http://127.0.0.1:${control.port}`);
  const stream = session.request({ ':authority': host, ':path': '/d?secret', 'e2b-traffic-access-token': TOKEN });
  stream.resume();
  await new Promise((resolve) => stream.once('close', resolve));
  session.close();
  using broken = new RawClient(control.port);
  broken.send('nonsense\r\n\r\n');
  await broken.expect(/400/);

  let report: WorkerReport | undefined;
  const reported = control.next((message) => {
    if (message.type === 'report') report = message.report;
    return message.type === 'report';
  });
  control.send({ type: 'report', sequence: 1 });
  await reported;
  assert.deepEqual(report!.answers, [
    { version: '1', status: 201, count: 2 },
    { version: '1', status: 400, count: 1 },
    { version: '1', status: 403, count: 1 },
    { version: '2', status: 201, count: 1 },
  ]);
  assert(report!.sent > 3000 && report!.received > 500);
  const text = toPrometheus([report!, report!], { runningSandboxes: 3, wakes: { counts: [1], sum: 1 } });
  assert.match(text, /^sandport_sandboxes_running 3$/m);
  assert.match(text, /^sandport_gateway_requests_total\{version="1",status="201"\} 4$/m);
  assert.match(text, /^sandport_gateway_first_byte_seconds_bucket\{le="\+Inf"\} 10$/m);
  assert.match(text, /^sandport_gateway_first_byte_seconds_count 10$/m);
  assert.match(text, /^sandport_wake_seconds_bucket\{le="0.001"\} 1$/m);
  for (const line of text.trim().split('\n')) {
    assert.match(line, /^(?:# (?:HELP|TYPE) |[a-z_]+(?:\{[a-z]+="[^"]+"(?:,[a-z]+="[^"]+")*\})? [0-9.e+-]+$)/);
  }

  let lines: Record<string, unknown>[] = [];
  let written = '';
  while (lines.length < 5) {
    written = await readFile(log, 'utf8');
    lines = written
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>);
  }
  assert.deepEqual(
    lines.map(({ version, method, path, status }) => [version, method, path, status]),
    [
      ['1.1', 'POST', '/a', 201],
      ['1.1', 'GET', '/b', 201],
      ['1.1', 'GET', '/c', 403],
      ['2', 'GET', '/d', 201],
      [undefined, undefined, undefined, 400],
    ],
  );
  assert.deepEqual([lines[0]!.client, lines[0]!.host, lines[0]!.secure], ['127.0.0.1', host, false]);
  assert(!/secret|sandport_access|ddd/.test(written), written);
});

test('a log that is moved away is begun anew, and no line is lost', async () => {
  const host = `${origin.port}-one.${DOMAIN}`;
  const text = async (path: string) => readFile(path, 'utf8').catch(() => '');
  await rename(log, `${log}.1`);
  let sent = 0;
  while (!(await text(log)).includes('/after')) await getFrom(control.port, host, { path: `/after${++sent}` });
  const count = async () => ((await text(`${log}.1`)) + (await text(log))).split('/after').length - 1;
  while ((await count()) < sent) await new Promise((resolve) => setTimeout(resolve, 10));
  assert.equal(await count(), sent);
});

test('a load balancer learns at the machine’s address and the domain that the worker serves', async () => {
  for (const host of ['127.0.0.1', 'localhost:80', '[::1]', DOMAIN]) {
    const { status, body } = await getFrom(control.port, host, { path: '/healthz' });
    assert.deepEqual([status, body], [200, 'ok\n']);
  }
  assert.equal((await getFrom(control.port, '127.0.0.1', { path: '/' })).status, 400);
  const of = { 'e2b-sandbox-id': 'one', 'e2b-sandbox-port': String(origin.port), 'e2b-traffic-access-token': TOKEN };
  assert.equal((await getFrom(control.port, '127.0.0.1', { path: '/healthz', headers: of })).status, 201);
});
