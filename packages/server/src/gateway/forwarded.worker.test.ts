// What servers are told of who asks, and what they may believe, through a real worker.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, createServer } from 'node:http2';
import { type AddressInfo, connect as connectTcp } from 'node:net';
import { after, before, describe, it } from 'node:test';
import { connect as connectTls } from 'node:tls';
import { DOMAIN, FakeControl } from './testing/fake-control.ts';
import { getFrom } from './testing/get.ts';
import { HttpOrigin, nextAddress } from './testing/origin.ts';
import { RawClient } from './testing/raw-client.ts';

type Headers = Record<string, string>;
const access = { kind: 'public' } as const;

let origin: HttpOrigin;
let direct: FakeControl;
let behind: FakeControl;

before(async () => {
  origin = await HttpOrigin.start((request, response) => {
    if (request.url!.startsWith('/to?')) response.setHeader('Location', decodeURIComponent(request.url!.slice(4)));
    response.end(JSON.stringify(request.headers));
  });
  const { address } = origin;
  const masked = { generation: 'g1', address, access, maskRequestHost: 'localhost:${PORT}' };
  const routes = [
    { sandboxId: 'one', generation: 'g1', address, access },
    { sandboxId: 'masked', ...masked },
    { sandboxId: 'whole', ...masked, masksOrigin: true },
  ];
  direct = await FakeControl.start(routes);
  behind = await FakeControl.start(routes, [], undefined, undefined, {
    trustedProxies: ['127.0.0.0/8', '2001:db8::/32'],
  });
});

after(async () => {
  await direct?.[Symbol.asyncDispose]();
  await behind?.[Symbol.asyncDispose]();
  await origin?.[Symbol.asyncDispose]();
});

const host = (id = 'one') => `${origin.port}-${id}.${DOMAIN}`;

async function seen(control: FakeControl, headers: Headers = {}, id = 'one'): Promise<Headers> {
  return JSON.parse((await getFrom(control.port, host(id), { headers })).body) as Headers;
}

async function seenOverHttp2(control: FakeControl, headers: Headers = {}, id = 'one'): Promise<Headers> {
  const session = connect(`http://127.0.0.1:${control.port}`);
  try {
    const stream = session.request({ ':authority': host(id), ...headers });
    let body = '';
    for await (const chunk of stream) body += chunk;
    return JSON.parse(body) as Headers;
  } finally {
    session.close();
  }
}

function told(headers: Headers): (string | undefined)[] {
  return ['for', 'proto', 'port', 'host'].map((name) => headers[`x-forwarded-${name}`]).concat(headers.forwarded);
}

const lies = {
  'x-forwarded-for': '192.0.2.1, 198.51.100.7',
  'x-forwarded-proto': 'https',
  'x-forwarded-port': '443',
  'x-forwarded-host': 'app.example',
  forwarded: 'for=192.0.2.1;host=app.example',
};

for (const [version, ask] of [
  ['HTTP/1.1', seen],
  ['HTTP/2', seenOverHttp2],
] as const) {
  describe(`over ${version}`, () => {
    it('the client’s own word counts for nothing', async () => {
      const expected = ['127.0.0.1', 'http', String(direct.port), host(), `for=127.0.0.1;proto=http;host="${host()}"`];
      assert.deepEqual(told(await ask(direct)), expected);
      assert.deepEqual(told(await ask(direct, lies)), expected);
    });

    it('a trusted proxy’s word is passed on, and the proxy is added', async () => {
      assert.deepEqual(told(await ask(behind, lies)), [
        '192.0.2.1, 198.51.100.7, 127.0.0.1',
        'https',
        '443',
        'app.example',
        `for=192.0.2.1;host=app.example, for=127.0.0.1;proto=https;host="app.example"`,
      ]);
      const nonsense = { 'x-forwarded-proto': 'gopher', 'x-forwarded-port': 'x', 'x-forwarded-host': 'a"b' };
      assert.deepEqual(told(await ask(behind, nonsense)), [
        '127.0.0.1',
        'http',
        String(behind.port),
        host(),
        `for=127.0.0.1;proto=http;host="${host()}"`,
      ]);
    });

    it('a masked host leaves the origin alone unless it is asked for', async () => {
      const own = `https://${host('masked')}`;
      const plain = await ask(direct, { origin: own, referer: `${own}/a` }, 'masked');
      assert.deepEqual([plain.host, plain.origin, plain.referer], [`localhost:${origin.port}`, own, `${own}/a`]);
      const whole = `https://${host('whole')}`;
      const mask = `http://localhost:${origin.port}`;
      const seenBy = await ask(direct, { origin: whole, referer: `${whole}/a?b`, 'x-a': '1' }, 'whole');
      assert.deepEqual([seenBy.origin, seenBy.referer, seenBy['x-a']], [mask, `${mask}/a?b`, '1']);
      assert.equal((await ask(direct, { origin: 'https://evil.example' }, 'whole')).origin, 'https://evil.example');
    });
  });
}

it('a redirect to the masked host leads to the public one, by the scheme of the client', async () => {
  const to = (location: string) => ({ path: `/to?${encodeURIComponent(location)}` });
  const masked = `http://localhost:${origin.port}/next?a=b`;
  const location = async (control: FakeControl, id: string, target: string, headers: Headers = {}) =>
    (await getFrom(control.port, host(id), { ...to(target), headers })).headers.location;
  assert.equal(await location(direct, 'whole', masked), `http://${host('whole')}/next?a=b`);
  assert.equal(
    await location(behind, 'whole', masked, { 'x-forwarded-proto': 'https' }),
    `https://${host('whole')}/next?a=b`,
  );
  assert.equal(await location(direct, 'whole', '/next'), '/next');
  assert.equal(await location(direct, 'masked', masked), masked);
  const session = connect(`http://127.0.0.1:${direct.port}`);
  const stream = session.request({ ':authority': host('whole'), ':path': to(masked).path });
  const headers = await new Promise<Record<string, unknown>>((resolve) => stream.once('response', resolve));
  assert.equal(headers.location, `http://${host('whole')}/next?a=b`);
  stream.close();
  session.close();
});

it('the masked origin holds for servers that get HTTP/2, and for WebSockets', async () => {
  const address = nextAddress();
  const server = createServer();
  server.on('stream', (stream, headers) => {
    const location = `http://${headers[':authority']}/next`;
    stream.respond({ ':status': 302, location, 'set-cookie': 'a=b; Domain=localhost; Path=/' });
    stream.end(JSON.stringify(headers));
  });
  server.listen(0, address);
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const masks = { maskRequestHost: 'localhost:${PORT}', masksOrigin: true };
  const route = { sandboxId: 'newer', generation: 'g1', address, access, http2Ports: [port], ...masks };
  await direct.apply({ type: 'set-route', route });
  const session = connect(`http://127.0.0.1:${direct.port}`);
  try {
    const own = `http://${port}-newer.${DOMAIN}`;
    const stream = session.request({ ':authority': own.slice('http://'.length), origin: own });
    const head = new Promise<Record<string, unknown>>((resolve) => stream.once('response', resolve));
    let body = '';
    for await (const chunk of stream) body += chunk;
    assert.equal((JSON.parse(body) as Headers).origin, `http://localhost:${port}`);
    assert.deepEqual([(await head).location, (await head)['set-cookie']], [`${own}/next`, ['a=b; Path=/']]);
  } finally {
    session.destroy();
    server.close();
  }

  origin.server.once('upgrade', (request, socket) => {
    socket.end(
      `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n${request.headers.origin};`,
    );
  });
  using client = new RawClient(direct.port);
  const lines = `Upgrade: websocket\r\nConnection: Upgrade\r\nOrigin: https://${host('whole')}\r\n`;
  client.send(`GET / HTTP/1.1\r\nHost: ${host('whole')}\r\n${lines}\r\n`);
  await client.expect(new RegExp(`101 [^;]*\r\n\r\nhttp://localhost:${origin.port};`));
});

describe('the PROXY protocol', () => {
  const request = () => `GET / HTTP/1.1\r\nHost: ${host()}\r\nConnection: close\r\n\r\n`;
  const version2 = (command: number, family: number, rest: number[]) =>
    Buffer.from([
      0x0d,
      0x0a,
      0x0d,
      0x0a,
      0,
      0x0d,
      0x0a,
      0x51,
      0x55,
      0x49,
      0x54,
      0x0a,
      command,
      family,
      0,
      rest.length,
      ...rest,
    ]);
  const ipv4 = [192, 0, 2, 9, 10, 0, 0, 1, 0x10, 0x00, 0x01, 0xbb];
  const ipv6 = [
    0x20,
    1,
    0x0d,
    0xb9,
    ...new Array<number>(11).fill(0),
    7,
    ...new Array<number>(16).fill(1),
    0x10,
    0,
    0x01,
    0xbb,
  ];

  async function toldAfter(header: string, control = behind, step = 10_000): Promise<(string | undefined)[]> {
    using client = new RawClient(control.port);
    const text = header + request();
    for (let at = 0; at < text.length; at += step) {
      client.send(text.slice(at, at + step));
      if (step < text.length) await new Promise((resolve) => setTimeout(resolve, 1));
    }
    return told(JSON.parse((await client.expect(/\{.*\}/)).replace(/^.*\r\n\r\n/s, '')) as Headers);
  }

  it('tells who the client is, in both versions, also in pieces', async () => {
    const expected = ['192.0.2.9', 'http', '443', host(), `for=192.0.2.9;proto=http;host="${host()}"`];
    assert.deepEqual(await toldAfter('PROXY TCP4 192.0.2.9 10.0.0.1 4096 443\r\n'), expected);
    assert.deepEqual(await toldAfter('PROXY TCP4 192.0.2.9 10.0.0.1 4096 443\r\n', behind, 7), expected);
    assert.deepEqual(await toldAfter(version2(0x21, 0x11, ipv4).toString('latin1')), expected);
    assert.deepEqual(
      await toldAfter(version2(0x21, 0x11, [...ipv4, 4, 0, 1, 0]).toString('latin1'), behind, 5),
      expected,
    );
    const six = await toldAfter(version2(0x21, 0x21, ipv6).toString('latin1'));
    assert.equal(six[0], '2001:db9:0:0:0:0:0:7');
    assert.match(six[4]!, /^for="\[2001:db9:0:0:0:0:0:7\]";/);
    assert.equal((await toldAfter('PROXY TCP6 2001:db9::7 ::1 1 443\r\n'))[0], '2001:db9::7');
  });

  it('goes before TLS too, with either version of HTTP in it', async () => {
    const expected = ['192.0.2.9', 'https', '443', host(), `for=192.0.2.9;proto=https;host="${host()}"`];
    for (const protocol of ['http/1.1', 'h2']) {
      const tcp = connectTcp(behind.port, '127.0.0.1');
      tcp.write('PROXY TCP4 192.0.2.9 10.0.0.1 4096 443\r\n');
      const secure = connectTls({ socket: tcp, rejectUnauthorized: false, ALPNProtocols: [protocol] });
      await once(secure, 'secureConnect');
      let body = '';
      if (protocol === 'h2') {
        const session = connect('https://any', { createConnection: () => secure });
        for await (const chunk of session.request({ ':authority': host() })) body += chunk;
        session.destroy();
      } else {
        secure.write(request());
        for await (const chunk of secure) body += chunk;
      }
      assert.deepEqual(told(JSON.parse(/\{.*\}/.exec(body)![0]) as Headers), expected);
      secure.destroy();
    }
  });

  it('leaves the connection its own address where the balancer speaks for itself', async () => {
    assert.equal((await toldAfter('PROXY UNKNOWN\r\n'))[0], '127.0.0.1');
    assert.equal((await toldAfter(version2(0x20, 0, []).toString('latin1')))[0], '127.0.0.1');
    assert.equal((await toldAfter(''))[0], '127.0.0.1');
  });

  it('is not for strangers, and not for nonsense', async () => {
    using stranger = new RawClient(direct.port);
    stranger.send(`PROXY TCP4 192.0.2.9 10.0.0.1 4096 443\r\n${request()}`);
    await stranger.expect(/^HTTP\/1\.1 400 /);
    for (const header of [
      'PROXY TCP4 nobody 10.0.0.1 1 2\r\n',
      'PROXY TCP9 192.0.2.9 10.0.0.1 1 2\r\n',
      `PROXY ${'x'.repeat(200)}`,
      version2(0x31, 0x11, ipv4).toString('latin1'),
    ]) {
      using client = new RawClient(behind.port);
      client.send(header + request());
      await client.untilEnded();
      assert.equal(client.received, '');
    }
  });
});
