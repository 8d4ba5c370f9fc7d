// Connections on Node's own handles behave as its sockets do, as far as the gateway can tell.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { limits } from './limits.ts';
import { takeConnections } from './tcp-handle.ts';
import { TcpStream } from './tcp-stream.ts';
import { Recorder } from './testing/recorder.ts';
import { waitUntil } from './testing/wait-until.ts';

let server: Server;
let port: number;
let client: Socket;
let stream: TcpStream;
let owner: Recorder;
const traffic = { received: 0, sent: 0 };

beforeEach(async () => {
  server = createServer({ allowHalfOpen: true }, () => assert.fail('a socket was made'));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  port = (server.address() as AddressInfo).port;
  traffic.received = traffic.sent = 0;
  owner = new Recorder();
  const accepted = Promise.withResolvers<TcpStream>();
  const taken = takeConnections(server, 30_000, (handle) => {
    const one = new TcpStream(handle, { traffic, port, released: () => {} });
    one.owner = owner;
    accepted.resolve(one);
  });
  assert.ok(taken, 'this version of Node has the names that connections are taken by');
  client = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
  client.on('error', () => {});
  stream = await accepted.promise;
});

afterEach(() => {
  client.destroy();
  stream.destroy();
  server.close();
});

describe('a connection on a handle', () => {
  it('is read from when it is resumed, not while it is paused, and to its last byte', async () => {
    client.write('one');
    stream.resume();
    await waitUntil(() => owner.received === 'one', 'the first bytes');
    stream.pause();
    client.end('two');
    stream.resume();
    await waitUntil(() => owner.ended, 'the end');
    assert.equal(owner.received, 'onetwo');
    assert.equal(traffic.received, 6);
    assert.equal(owner.closed, false);
    // The other half is still open.
    const answer = once(client, 'data');
    stream.write(Buffer.from('three'));
    assert.equal(String((await answer)[0]), 'three');
    stream.end();
    await waitUntil(() => owner.closed, 'the close after both halves');
  });

  it('tells a writer to wait for a slow reader, and when to go on', async () => {
    client.pause();
    const piece = Buffer.alloc(limits.writeBuffer, 'x');
    let written = 0;
    let sent = 0;
    do {
      sent++;
    } while (stream.write(piece, () => written++) && sent < 1000);
    assert.ok(stream.writableLength >= limits.writeBuffer);
    assert.ok(written < sent);
    let received = 0;
    client.on('data', (chunk) => {
      received += chunk.length;
    });
    client.resume();
    await waitUntil(() => owner.drains === 1, 'the drain');
    assert.equal(stream.writableLength, 0);
    assert.equal(written, sent);
    stream.end();
    await once(client, 'end');
    assert.equal(received, sent * piece.length);
    assert.equal(traffic.sent, received);
  });

  it('can be reset', async () => {
    const failed = once(client, 'error');
    stream.resetAndDestroy();
    assert.equal((await failed)[0].code, 'ECONNRESET');
    await waitUntil(() => owner.closed, 'the close');
  });

  it('closes, though it is reset while its end is on its way', async () => {
    client.pause();
    while (stream.write(Buffer.alloc(limits.writeBuffer)));
    stream.end();
    stream.resetAndDestroy();
    await waitUntil(() => owner.closed, 'the close');
    assert.equal(stream.write(Buffer.from('x')), false);
  });

  it('closes when its client resets it', async () => {
    stream.resume();
    client.resetAndDestroy();
    await waitUntil(() => owner.closed, 'the close');
  });

  it('has its peer probed by the kernel', async () => {
    const sockets = () => execFileSync('ss', ['-tno', `sport = :${port}`], { encoding: 'utf8' });
    await waitUntil(() => sockets().includes('timer:(keepalive,'), 'the timer');
  });

  it('becomes a socket with what has been read of it', async () => {
    client.write('hello');
    stream.resume();
    await waitUntil(() => owner.received === 'hello', 'the first bytes');
    const socket = stream.toSocket(Buffer.from('hello'));
    try {
      assert.equal(String(socket.read()), 'hello');
      const answer = once(client, 'data');
      socket.write('bye');
      assert.equal(String((await answer)[0]), 'bye');
      assert.equal(traffic.received, 0);
    } finally {
      socket.destroy();
    }
  });
});
