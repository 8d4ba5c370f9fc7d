// What becomes of connections that take too long, with a clock that the test turns on.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, createServer, type Server } from 'node:net';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { Roster } from '../roster.ts';
import { arrivalOf, type Client, type GatewayContext } from './context.ts';
import { ClientConnection } from './http1/client-connection.ts';
import { limits } from './limits.ts';
import { RouteTable } from './routing/route-table.ts';
import { Router } from './routing/router.ts';
import { Sweep } from './sweep.ts';
import { RawOrigin } from './testing/origin.ts';
import { RawClient } from './testing/raw-client.ts';
import { testTls } from './testing/test-tls.ts';
import { waitUntil } from './testing/wait-until.ts';
import { TlsFront } from './tls-front.ts';

let late = 0;
let sweep: Sweep;
let table: RouteTable;
let context: GatewayContext;
let server: Server;
let port: number;

beforeEach(async () => {
  late = 0;
  sweep = new Sweep(2, () => performance.now() + late);
  table = new RouteTable({ domain: 'box.test', listen: [] }, sweep, { wake() {}, used() {} });
  context = { router: new Router(table), sweep, clients: new Roster<Client>(Symbol('clients')), stopping: false };
  server = createServer({ allowHalfOpen: true }, (socket) => {
    new ClientConnection(socket, arrivalOf(socket, false), context);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  port = (server.address() as AddressInfo).port;
});

afterEach(() => {
  for (const client of context.clients) client.destroy();
  table.replace([], []);
  sweep[Symbol.dispose]();
  server.close();
});

/** Lets time pass, and the sweep see it. */
async function pass(ms: number): Promise<void> {
  late += ms;
  const { now } = sweep;
  await waitUntil(() => sweep.now >= now + ms, 'a sweep');
}

function routeTo(origin: RawOrigin): string {
  table.setRoute({ sandboxId: 'abc', generation: 'g1', address: origin.address, access: { kind: 'public' } });
  return `${origin.port}-abc.box.test`;
}

/** Answers every request, with a header line of the test's. */
const answering = (line = '') =>
  RawOrigin.start((socket) => {
    socket.on('data', () => socket.write(`HTTP/1.1 200 OK\r\n${line}Content-Length: 2\r\n\r\nok`));
  });

describe('a request head that does not end', () => {
  it('is answered 408, and drops of it gain no time', async () => {
    using client = new RawClient(port);
    client.send('GET / HTTP/1.1\r\nHost: a\r\n');
    await waitUntil(() => [...context.clients].length === 1, 'the connection');
    for (let i = 0; i < 4; i++) {
      await pass(limits.headTime / 4);
      client.send(`X-${i}: drop\r\n`);
    }
    await pass(limits.headTime / 4);
    await client.expect(/^HTTP\/1\.1 408 .*"error_code":"request_timeout"\}/s);
    assert.equal(await client.untilEnded(), 'end');
  });
});

describe('a connection that does nothing', () => {
  it('is ended in order, without an answer to a request that was not made', async () => {
    await using origin = await answering();
    const host = routeTo(origin);
    using client = new RawClient(port);
    client.send(`GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
    await client.expect(/ok$/);
    await pass(limits.idleTime - 10 * limits.sweepInterval);
    client.send(`GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
    await client.expect(/ok$/);
    await pass(limits.idleTime + limits.sweepInterval);
    assert.equal(await client.untilEnded(), 'end');
    assert.equal(client.received, '');
  });

  it('to a server is ended too', async () => {
    await using origin = await answering();
    using client = new RawClient(port);
    client.send(`GET / HTTP/1.1\r\nHost: ${routeTo(origin)}\r\n\r\n`);
    await client.expect(/ok$/);
    assert.equal(origin.sockets.size, 1);
    await pass(limits.upstreamIdleTime + limits.sweepInterval);
    await waitUntil(() => origin.sockets.size === 0, 'the end of the connection');
  });

  it('is not used again after the time for which the server said to keep it', async () => {
    await using origin = await answering('Keep-Alive: timeout=5\r\n');
    const seen = new Set<unknown>();
    using client = new RawClient(port);
    const ask = async () => {
      client.send(`GET / HTTP/1.1\r\nHost: ${routeTo(origin)}\r\n\r\n`);
      await client.expect(/ok$/);
      for (const socket of origin.sockets) seen.add(socket);
    };
    await ask();
    await pass(2000);
    await ask();
    assert.equal(seen.size, 1);
    await pass(4500);
    await ask();
    assert.equal(seen.size, 2);
  });
});

describe('a client that does not read its answer', () => {
  it('keeps a closing connection no longer than it may', async () => {
    await using origin = await RawOrigin.start((socket) => {
      socket.once('data', () => socket.end(`HTTP/1.1 200 OK\r\n\r\n${'x'.repeat(32 * 1024 * 1024)}`));
    });
    using client = new RawClient(port);
    client.send(`GET / HTTP/1.1\r\nHost: ${routeTo(origin)}\r\n\r\n`);
    await client.expect(/200 OK/);
    client.socket.pause();
    await pass(limits.flushTime);
    assert.equal(context.clients.size, 1, 'a slow reader is no offence');
    // What is left is on its way to a client that is to have it all.
    table.replace([], []);
    await waitUntil(() => context.clients.size === 0, 'the end of the connection');
  });
});

describe('a TLS handshake that does not end', () => {
  it('is given up', async () => {
    const front = new TlsFront(testTls, sweep, () => assert.fail('there was no handshake'), 50);
    const listener = createServer((socket) => {
      socket.on('error', () => {});
      front.accept(socket, Buffer.alloc(0));
    });
    listener.listen(0, '127.0.0.1');
    await once(listener, 'listening');
    using client = new RawClient((listener.address() as AddressInfo).port);
    try {
      // The start of a record with a ClientHello of 512 bytes, of which no more comes.
      client.send('\x16\x03\x01\x02\x00\x01\x00');
      await client.untilEnded();
    } finally {
      listener.close();
    }
  });
});
