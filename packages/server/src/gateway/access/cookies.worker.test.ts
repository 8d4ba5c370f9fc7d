// Cookies of apps, through a real worker: none reaches another sandbox.

import assert from 'node:assert/strict';
import { connect, createServer, type Http2Server } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { after, before, test } from 'node:test';
import { DOMAIN, FakeControl } from '../testing/fake-control.ts';
import { getFrom } from '../testing/get.ts';
import { HttpOrigin } from '../testing/origin.ts';

const SET = [
  'plain=1; Path=/; HttpOnly',
  `wide=2; Domain=${DOMAIN}; Path=/; Secure`,
  `wider=3;domain=.${DOMAIN};SameSite=Lax`,
  '__Host-sandport-access=; Max-Age=0',
];
const NARROW = ['plain=1; Path=/; HttpOnly', 'wide=2; Path=/; Secure', 'wider=3;SameSite=Lax'];

let control: FakeControl;
let origin: HttpOrigin;
let http2: Http2Server;

before(async () => {
  origin = await HttpOrigin.start((_request, response) => {
    response.setHeader('X-First', '1');
    response.setHeader('Set-Cookie', SET);
    response.setHeader('X-Last', '2');
    response.end('hello');
  });
  http2 = createServer();
  http2.on('stream', (stream) => {
    stream.respond({ 'set-cookie': SET });
    stream.end('hello');
  });
  await new Promise<void>((resolve) => http2.listen(0, origin.address, resolve));
  const http2Ports = [(http2.address() as AddressInfo).port];
  control = await FakeControl.start([
    { sandboxId: 'one', generation: 'g1', address: origin.address, access: { kind: 'public' }, http2Ports },
  ]);
});

after(async () => {
  await control[Symbol.asyncDispose]();
  await origin[Symbol.asyncDispose]();
  await new Promise((resolve) => http2.close(resolve));
});

test('over HTTP/1.1 they are narrowed to the host that sets them, and all else stays', async () => {
  const { headers, body } = await getFrom(control.port, `${origin.port}-one.${DOMAIN}`);
  assert.deepEqual(headers['set-cookie'], NARROW);
  assert.deepEqual([headers['x-first'], headers['x-last'], body], ['1', '2', 'hello']);
});

test('over HTTP/2 too, from servers of either version', async () => {
  const session = connect(`http://127.0.0.1:${control.port}`);
  try {
    for (const port of [origin.port, (http2.address() as AddressInfo).port]) {
      const stream = session.request({ ':authority': `${port}-one.${DOMAIN}` });
      const headers = await new Promise<Record<string, unknown>>((resolve) => stream.once('response', resolve));
      assert.deepEqual(headers['set-cookie'], NARROW);
      stream.close();
    }
  } finally {
    session.close();
  }
});
