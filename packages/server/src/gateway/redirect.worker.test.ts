// The way from HTTP to HTTPS, through real workers.

import assert from 'node:assert/strict';
import { connect } from 'node:http2';
import { after, before, test } from 'node:test';
import { DOMAIN, FakeControl } from './testing/fake-control.ts';
import { getFrom } from './testing/get.ts';
import { HttpOrigin } from './testing/origin.ts';

let origin: HttpOrigin;
let direct: FakeControl;
let behind: FakeControl;

before(async () => {
  origin = await HttpOrigin.start((_request, response) => response.end('hello'));
  const access = { kind: 'public' } as const;
  const routes = [{ sandboxId: 'one', generation: 'g1', address: origin.address, access }];
  const start = (trustedProxies: string[]) =>
    FakeControl.start(routes, [], undefined, undefined, { redirectToHttps: true, trustedProxies });
  direct = await start([]);
  behind = await start(['127.0.0.1']);
});

after(async () => {
  for (const one of [direct, behind, origin]) await one?.[Symbol.asyncDispose]();
});

test('requests without TLS are sent to the same address with it, whatever their method', async () => {
  for (const host of [`${origin.port}-one.${DOMAIN}`, `${origin.port}-one.${DOMAIN}:8443`, `api.${DOMAIN}`]) {
    for (const method of ['GET', 'POST']) {
      const { status, headers } = await getFrom(direct.port, host, { method, path: '//a?b=c' });
      assert.deepEqual([status, headers.location], [308, `https://${host}//a?b=c`]);
    }
  }
  const plain = await getFrom(direct.port, `${origin.port}-one.${DOMAIN}:80`);
  assert.equal(plain.headers.location, `https://${origin.port}-one.${DOMAIN}/`);
});

test('requests with TLS, and hosts that are not the domain’s, are served', async () => {
  const session = connect(`https://127.0.0.1:${direct.port}`, { rejectUnauthorized: false });
  const stream = session.request({ ':authority': `${origin.port}-one.${DOMAIN}` });
  const head = await new Promise<Record<string, unknown>>((resolve) => stream.once('response', resolve));
  assert.equal(head[':status'], 200);
  session.destroy();
  const byHeaders = { 'e2b-sandbox-id': 'one', 'e2b-sandbox-port': String(origin.port) };
  assert.equal((await getFrom(direct.port, '127.0.0.1', { headers: byHeaders })).status, 200);
  assert.equal((await getFrom(direct.port, `${origin.port}-one.elsewhere.example`)).status, 200);
});

test('a trusted proxy that ended TLS says so', async () => {
  const host = `${origin.port}-one.${DOMAIN}`;
  assert.equal((await getFrom(behind.port, host)).status, 308);
  assert.equal((await getFrom(behind.port, host, { headers: { 'x-forwarded-proto': 'https' } })).status, 200);
  assert.equal((await getFrom(direct.port, host, { headers: { 'x-forwarded-proto': 'https' } })).status, 308);
});
