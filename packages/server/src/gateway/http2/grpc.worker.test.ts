// gRPC and other servers that speak HTTP/2 only, through a real worker process.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type ClientHttp2Session, type ClientHttp2Stream, connect, constants } from 'node:http2';
import { createServer, connect as dial, type Server, type Socket } from 'node:net';
import { after, before, describe, it } from 'node:test';
import { AGENT_PORT } from '@sandport/protocol/agent-port';
import type { Route } from '@sandport/protocol/routes';
import { DOMAIN, FakeControl } from '../testing/fake-control.ts';
import { freePort } from '../testing/free-port.ts';
import { GrpcOrigin, GrpcReader, grpcFrame } from '../testing/grpc-origin.ts';
import { HttpOrigin, nextAddress, RawOrigin } from '../testing/origin.ts';
import { waitUntil } from '../testing/wait-until.ts';

let control: FakeControl;
let session: ClientHttp2Session;

before(async () => {
  control = await FakeControl.start([]);
  session = connect(`https://127.0.0.1:${control.port}`, { rejectUnauthorized: false });
  await once(session, 'connect');
});

after(async () => {
  session.destroy();
  await control[Symbol.asyncDispose]();
});

let routes = 0;

async function hostOf(origin: { address: string; port: number }, more: Partial<Route> = {}): Promise<string> {
  const sandboxId = `s${++routes}`;
  const route: Route = { sandboxId, generation: 'g1', address: origin.address, access: { kind: 'public' }, ...more };
  await control.apply({ type: 'set-route', route });
  return `${origin.port}-${sandboxId}.${DOMAIN}`;
}

const idOf = (host: string): string => host.split('-')[1]!.split('.')[0]!;

function call(host: string, path: string, type = 'application/grpc'): ClientHttp2Stream {
  const stream = session.request({
    ':method': 'POST',
    ':path': path,
    ':authority': host,
    'content-type': type,
    te: 'trailers',
  });
  stream.on('error', () => {});
  return stream;
}

/** `once` would fail with the stream's error, which is often what is waited for. */
const untilClosed = (stream: ClientHttp2Stream): Promise<void> =>
  new Promise((resolve) => stream.once('close', resolve));

/** A call with one message, to its end. */
async function unary(host: string, path: string, message = 'x', type?: string) {
  const stream = call(host, path, type);
  let fields: Record<string, unknown> = {};
  let trailers: Record<string, unknown> = {};
  const messages: string[] = [];
  const reader = new GrpcReader();
  stream.on('response', (headers) => {
    fields = headers;
  });
  stream.on('trailers', (headers) => {
    trailers = headers;
  });
  stream.on('data', (chunk: Buffer) => messages.push(...reader.read(chunk)));
  stream.end(grpcFrame(message));
  await untilClosed(stream);
  return { fields, trailers, messages };
}

describe('gRPC', () => {
  it('has the bodies that the limit allows, and no larger ones', async () => {
    const origin = await GrpcOrigin.start();
    await using _ = origin;
    const address = origin.address;
    const route: Route = { sandboxId: 'one', generation: 'g1', address, access: { kind: 'public' } };
    const limits = { connectionsPerSandbox: 0, connectionsPerClient: 0, requestsPerSecond: 0, bodyBytes: 1000 };
    await using limited = await FakeControl.start([route], [], undefined, undefined, { limits });
    const client = connect(`https://127.0.0.1:${limited.port}`, { rejectUnauthorized: false });
    client.on('error', () => {});
    const send = (bytes: number) => {
      const stream = client.request({
        ':method': 'POST',
        ':path': '/echo',
        ':authority': `${origin.port}-one.${DOMAIN}`,
        'content-type': 'application/grpc',
        te: 'trailers',
      });
      stream.on('error', () => {});
      let status: number | undefined;
      stream.on('response', (headers) => (status = headers[':status']));
      stream.resume().write(grpcFrame('x'.repeat(bytes)));
      return { stream, closed: untilClosed(stream), status: () => status };
    };
    const small = send(500);
    small.stream.end();
    await small.closed;
    assert.equal(small.status(), 200);
    const large = send(2000);
    await large.closed;
    assert(large.status() === 413 || large.stream.rstCode === constants.NGHTTP2_ENHANCE_YOUR_CALM, `${large.status()}`);
    client.destroy();
  });

  it('goes through with messages, status and every trailer', async () => {
    await using origin = await GrpcOrigin.start();
    const { fields, messages, trailers } = await unary(await hostOf(origin), '/echo', 'hello');
    assert.equal(fields[':status'], 200);
    assert.equal(fields['content-type'], 'application/grpc');
    assert.deepEqual(messages, ['hello']);
    assert.equal(trailers['grpc-status'], '0');
    assert.equal(trailers['x-trailer'], 'one, two');
  });

  it('may fail with trailers only', async () => {
    await using origin = await GrpcOrigin.start();
    const { fields } = await unary(await hostOf(origin), '/fail', 'x', 'application/grpc+proto');
    assert.deepEqual([fields[':status'], fields['grpc-status'], fields['grpc-message']], [200, '5', 'not found']);
  });

  it('streams both ways at once, many calls on one connection', async () => {
    await using origin = await GrpcOrigin.start();
    const host = await hostOf(origin);
    await Promise.all(
      Array.from({ length: 20 }, async (_, i) => {
        const stream = call(host, '/echo');
        const reader = new GrpcReader();
        const messages: string[] = [];
        stream.on('data', (chunk: Buffer) => messages.push(...reader.read(chunk)));
        for (let n = 0; n < 5; n++) {
          stream.write(grpcFrame(`${i} ${n}`));
          await waitUntil(() => messages.at(-1) === `${i} ${n}`, 'the echo');
        }
        stream.end();
        await once(stream, 'end');
        assert.equal(messages.length, 5);
      }),
    );
    assert.equal(origin.connections, 1);
  });

  it('carries messages of many megabytes and waits for slow readers', async () => {
    await using origin = await GrpcOrigin.start();
    const message = 'abcdefgh'.repeat(512 * 1024);
    const { messages } = await unary(await hostOf(origin), '/echo', message);
    assert.equal(messages[0] === message, true);
  });

  it('tells the server who asked, and nothing of what is the gateway’s', async () => {
    await using origin = await GrpcOrigin.start();
    const host = await hostOf(origin, { maskRequestHost: 'localhost:${PORT}' });
    const stream = session.request({
      ':method': 'POST',
      ':path': '/headers',
      ':authority': host,
      'content-type': 'application/grpc',
      'x-forwarded-for': '203.0.113.9',
      'e2b-traffic-access-token': 'secret',
      'x-own': 'kept',
      te: 'trailers',
    });
    const reader = new GrpcReader();
    const messages: string[] = [];
    stream.on('data', (chunk: Buffer) => messages.push(...reader.read(chunk)));
    stream.end();
    await once(stream, 'close');
    const seen = JSON.parse(messages[0]!) as Record<string, string>;
    assert.equal(seen[':authority'], `localhost:${origin.port}`);
    assert.equal(seen['x-forwarded-host'], host);
    assert.equal(seen['x-forwarded-for'], '127.0.0.1');
    assert.equal(seen['x-forwarded-proto'], 'https');
    assert.equal(seen['x-own'], 'kept');
    assert.equal(seen.te, 'trailers');
    assert.equal(seen['e2b-traffic-access-token'], undefined);
  });

  it('is cancelled at the server when the client cancels', async () => {
    await using origin = await GrpcOrigin.start();
    const stream = call(await hostOf(origin), '/wait');
    await once(stream, 'response');
    stream.close(constants.NGHTTP2_CANCEL);
    await waitUntil(() => origin.cancelled.length === 1, 'the end at the server');
    assert.deepEqual(origin.cancelled, [constants.NGHTTP2_CANCEL]);
  });

  it('is reset for the client when the server or the sandbox ends', async () => {
    for (const how of ['server', 'sandbox'] as const) {
      await using origin = await GrpcOrigin.start();
      const host = await hostOf(origin);
      const stream = call(host, '/wait');
      await once(stream, 'response');
      const closed = untilClosed(stream);
      if (how === 'server') for (const socket of origin.sockets) socket.destroy();
      else await control.apply({ type: 'delete-route', sandboxId: idOf(host) });
      await closed;
      assert.notEqual(stream.rstCode, constants.NGHTTP2_NO_ERROR);
    }
    assert.equal(session.destroyed, false);
  });

  it('never uses a connection of an earlier start of the sandbox', async () => {
    await using origin = await GrpcOrigin.start();
    const host = await hostOf(origin);
    await unary(host, '/echo');
    await unary(host, '/echo');
    assert.equal(origin.connections, 1);
    const access = { kind: 'public' } as const;
    const route: Route = { sandboxId: idOf(host), generation: 'g2', address: origin.address, access };
    await control.apply({ type: 'set-route', route });
    await waitUntil(() => origin.sockets.size === 0, 'the end of the old connection');
    await unary(host, '/echo');
    assert.equal(origin.connections, 2);
  });

  it('finds a server again that has been restarted', async () => {
    const first = await GrpcOrigin.start();
    const host = await hostOf(first);
    await unary(host, '/echo');
    await first[Symbol.asyncDispose]();
    const closed = await unary(host, '/echo');
    assert.equal(closed.fields[':status'], 502);
    await using second = await GrpcOrigin.start(first.address, first.port);
    assert.deepEqual((await unary(host, '/echo', 'again')).messages, ['again']);
    assert.equal(second.connections, 1);
  });

  it('is answered 502 by servers that speak no HTTP/2', async () => {
    await using old = await HttpOrigin.start((_request, response) => response.end('x'));
    await using silent = await RawOrigin.start((socket) => socket.end());
    for (const origin of [old, silent]) {
      assert.equal((await unary(await hostOf(origin), '/echo')).fields[':status'], 502);
    }
  });

  it('reaches a server on the sandbox’s loopback through the agent', async () => {
    await using origin = await GrpcOrigin.start();
    const address = nextAddress();
    const port = await freePort(address);
    await using _agent = await tunnelAgent(address, origin);
    const host = await hostOf({ address, port }, { tunnelToken: 'token' });
    assert.deepEqual((await unary(host, '/echo', 'inside')).messages, ['inside']);
    assert.deepEqual((await unary(host, '/echo', 'again')).messages, ['again']);
    assert.equal(origin.connections, 1);
    const refused = await hostOf({ address, port }, { tunnelToken: 'wrong' });
    assert.equal((await unary(refused, '/echo')).fields[':status'], 502);
  });

  it('of the web kind goes to servers that speak HTTP/1.1', async () => {
    await using origin = await HttpOrigin.start((incoming, response) => response.end(incoming.httpVersion));
    const stream = call(await hostOf(origin), '/', 'application/grpc-web+proto');
    stream.end();
    let body = '';
    for await (const chunk of stream) body += String(chunk);
    assert.equal(body, '1.1');
  });
});

describe('a port that is HTTP/2 by its route', () => {
  it('gets every request that comes over HTTP/2 as such', async () => {
    await using origin = await GrpcOrigin.start();
    const host = await hostOf(origin, { http2Ports: [origin.port] });
    const stream = session.request({ ':path': '/headers', ':authority': host, cookie: 'a=1' });
    let body = '';
    for await (const chunk of stream) body += String(chunk);
    assert.match(body, /"cookie":"a=1"/);
  });
});

/** The tunnel of an agent at `address`, which leads to one server whatever port is asked for. */
async function tunnelAgent(address: string, to: { address: string; port: number }): Promise<AsyncDisposable> {
  const clients = new Set<Socket>();
  const server: Server = createServer((client) => {
    clients.add(client);
    client.on('error', () => {});
    client.once('data', (head: Buffer) => {
      if (!String(head).includes('x-tunnel-token: token\r\n')) {
        client.end('HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n');
        return;
      }
      const inside = dial(to.port, to.address, () => {
        client.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: sandport-loopback\r\n\r\n');
        client.pipe(inside).pipe(client);
      });
      inside.on('error', () => client.destroy());
      client.on('close', () => inside.destroy());
    });
  });
  server.listen(AGENT_PORT, address);
  await once(server, 'listening');
  return {
    [Symbol.asyncDispose]: () => {
      for (const client of clients) client.destroy();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
}
