// WebSockets over HTTP/2 (RFC 8441) through a real worker process, to servers that know them over HTTP/1.1 only.

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { type ClientHttp2Session, type ClientHttp2Stream, connect, constants } from 'node:http2';
import type { Duplex } from 'node:stream';
import { after, before, describe, it } from 'node:test';
import type { Route } from '@sandport/protocol/routes';
import { WebSocket, WebSocketServer } from 'ws';
import { DOMAIN, FakeControl } from '../testing/fake-control.ts';
import { HttpOrigin, RawOrigin } from '../testing/origin.ts';
import { waitUntil } from '../testing/wait-until.ts';

let control: FakeControl;
let session: ClientHttp2Session;

before(async () => {
  control = await FakeControl.start([]);
  session = connect(`https://127.0.0.1:${control.port}`, { rejectUnauthorized: false });
  await once(session, 'remoteSettings');
});

after(async () => {
  session.destroy();
  await control[Symbol.asyncDispose]();
});

let routes = 0;

async function hostOf(origin: { address: string; port: number }): Promise<string> {
  const sandboxId = `s${++routes}`;
  const route: Route = { sandboxId, generation: 'g1', address: origin.address, access: { kind: 'public' } };
  await control.apply({ type: 'set-route', route });
  return `${origin.port}-${sandboxId}.${DOMAIN}`;
}

function open(host: string, headers: Record<string, string> = {}): ClientHttp2Stream {
  const stream = session.request(
    {
      ':method': 'CONNECT',
      ':protocol': 'websocket',
      ':scheme': 'https',
      ':path': '/chat?a=b',
      ':authority': host,
      'sec-websocket-version': '13',
      ...headers,
    },
    { endStream: false },
  );
  stream.on('error', () => {});
  return stream;
}

/** The client of `ws` on a stream that is a WebSocket already. */
function webSocketOn(stream: ClientHttp2Stream): WebSocket {
  const socket = new WebSocket(null as unknown as string, [], {});
  const duplex = Object.assign(stream, { setNoDelay: () => {} });
  type Internals = { _isServer: boolean; setSocket(socket: Duplex, head: Buffer, options: object): void };
  const internals = socket as unknown as Internals;
  // `ws` takes a socket without an address for a server's.
  internals._isServer = false;
  internals.setSocket(duplex, Buffer.alloc(0), { maxPayload: 0, skipUTF8Validation: false });
  return socket;
}

describe('WebSockets over HTTP/2', () => {
  it('are offered', () => {
    assert.equal(session.remoteSettings.enableConnectProtocol, true);
  });

  it('echo messages of all sizes', async () => {
    await using origin = await HttpOrigin.start((_request, response) => response.writeHead(400).end());
    const server = new WebSocketServer({ server: origin.server, handleProtocols: () => 'second' });
    let url: string | undefined;
    server.on('connection', (socket, incoming) => {
      url = incoming.url;
      socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }));
    });
    const stream = open(await hostOf(origin), { 'sec-websocket-protocol': 'first, second', origin: 'https://page' });
    const [fields] = await once(stream, 'response');
    assert.equal(fields[':status'], 200);
    assert.equal(fields['sec-websocket-protocol'], 'second');
    assert.equal(fields['sec-websocket-accept'], undefined);
    assert.equal(fields.upgrade, undefined);
    assert.equal(url, '/chat?a=b');
    const socket = webSocketOn(stream);
    for (const message of [Buffer.from('hello'), randomBytes(100_000), randomBytes(3 * 1024 * 1024)]) {
      socket.send(message);
      const [echo] = await once(socket, 'message');
      assert.ok(message.equals(echo as Buffer));
    }
    stream.close(constants.NGHTTP2_CANCEL);
    await waitUntil(() => server.clients.size === 0, 'the end at the server');
  });

  it('close in order', async () => {
    let code: number | undefined;
    await using origin = await HttpOrigin.start(() => {});
    const server = new WebSocketServer({ server: origin.server });
    server.on('connection', (socket) =>
      socket.on('close', (given) => {
        code = given;
      }),
    );
    const stream = open(await hostOf(origin));
    const received: Buffer[] = [];
    stream.on('data', (chunk: Buffer) => received.push(chunk));
    // A close frame with the code 4000, masked with zeros, and its echo.
    stream.write(Buffer.from([0x88, 0x82, 0, 0, 0, 0, 0x0f, 0xa0]));
    await once(stream, 'end');
    assert.deepEqual(Buffer.concat(received), Buffer.from([0x88, 0x02, 0x0f, 0xa0]));
    stream.end();
    await new Promise((resolve) => stream.once('close', resolve));
    assert.equal(stream.rstCode, constants.NGHTTP2_NO_ERROR);
    await waitUntil(() => code === 4000, 'the end at the server');
  });

  it('show a refusal of the server as it is', async () => {
    await using origin = await HttpOrigin.start((_request, response) => response.writeHead(403).end('not you'));
    origin.server.on('upgrade', (_request, socket) => {
      socket.on('error', () => {});
      socket.end('HTTP/1.1 403 Forbidden\r\nContent-Length: 7\r\n\r\nnot you');
    });
    const stream = open(await hostOf(origin));
    const [fields] = await once(stream, 'response');
    assert.equal(fields[':status'], 403);
    let body = '';
    for await (const chunk of stream) body += String(chunk);
    assert.equal(body, 'not you');
  });

  it('are refused where the server agrees to something else', async () => {
    for (const answer of ['Upgrade: websocket\r\nSec-WebSocket-Accept: AAAA', 'Upgrade: other']) {
      await using origin = await RawOrigin.start((socket) => {
        socket.once('data', () => {
          socket.write(`HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n${answer}\r\n\r\n`);
        });
      });
      const stream = open(await hostOf(origin));
      const [fields] = await once(stream, 'response');
      assert.equal(fields[':status'], 502);
      await waitUntil(() => origin.sockets.size === 0, 'the end of the connection');
    }
  });

  it('end at the server when the client resets them, and are reset when the sandbox ends', async () => {
    await using origin = await HttpOrigin.start((_request, response) => response.writeHead(400).end());
    const server = new WebSocketServer({ server: origin.server });
    const host = await hostOf(origin);
    const first = open(host);
    await once(first, 'response');
    first.close(constants.NGHTTP2_CANCEL);
    await waitUntil(() => server.clients.size === 0, 'the end at the server');
    const second = open(host);
    await once(second, 'response');
    const closed = new Promise((resolve) => second.once('close', resolve));
    await control.apply({ type: 'delete-route', sandboxId: host.split('-')[1]!.split('.')[0]! });
    await closed;
    assert.equal(second.rstCode, constants.NGHTTP2_INTERNAL_ERROR);
  });

  it('lose nothing that a client sends ahead of the answer', async () => {
    let received = '';
    await using origin = await HttpOrigin.start(() => {});
    const server = new WebSocketServer({ server: origin.server });
    server.on('connection', (socket) =>
      socket.on('message', (data) => {
        received += String(data);
      }),
    );
    const stream = open(await hostOf(origin));
    // A text frame "hi", masked with zeros.
    stream.write(Buffer.from([0x81, 0x82, 0, 0, 0, 0, 0x68, 0x69]));
    await waitUntil(() => received === 'hi', 'the message');
    stream.close(constants.NGHTTP2_CANCEL);
  });

  it('are the only thing that CONNECT gives', async () => {
    for (const headers of [{ ':method': 'CONNECT' }, { ':protocol': 'connect-udp' }] as Record<string, string>[]) {
      const stream =
        ':protocol' in headers
          ? open(`3000-gone.${DOMAIN}`, headers)
          : session.request({ ...headers, ':authority': `3000-gone.${DOMAIN}` }, { endStream: true });
      stream.on('error', () => {});
      const [fields] = await once(stream, 'response');
      assert.equal(fields[':status'], 501);
      stream.close();
    }
  });
});
