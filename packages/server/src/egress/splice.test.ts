// Ends of connections that are out of order: nothing that one side has sent is lost on its way to the other.
import assert from 'node:assert/strict';
import { randomBytes, randomInt } from 'node:crypto';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { type AddressInfo, connect, createServer, type Server, Socket } from 'node:net';
import { describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { sharedBuffer } from '../gateway/read-buffers.ts';
import { waitUntil } from '../gateway/testing/wait-until.ts';
import { MAX_PIPES } from './kernel-pipe.ts';
import { LightListener } from './light-listener.ts';
import { LightSocket, untilDialled } from './light-socket.ts';
import { nativeSockets, unacknowledgedBytes } from './native-sockets.ts';
import { RequestGuard } from './request-guard.ts';
import { type ByteCount, type SpliceOptions, splice } from './splice.ts';

/** asm-generic/socket.h, tcp(7) */
const SOL_SOCKET = 1;
const SO_KEEPALIVE = 9;
const IPPROTO_TCP = 6;
const TCP_NODELAY = 1;
const TCP_KEEPIDLE = 4;
const TCP_INFO = 11;
/** Of `tcpi_segs_out` in `struct tcp_info` (linux/tcp.h). */
const SEGMENTS_OUT = 136;
/** bits/socket.h */
const MSG_OOB = 1;
const LARGE = Buffer.alloc(400_000, 'answer ');

interface Relayed {
  readonly client: Socket;
  readonly inner: LightSocket;
  readonly outer: LightSocket;
  readonly server: Socket;
}

/** Both sides of a relay, with what stands at their other ends. Nothing is read yet. */
async function relayed(resources: AsyncDisposableStack): Promise<Relayed> {
  const [client, inner] = await accepted(resources);
  const [outer, server] = await dialled(resources);
  return { client, inner, outer, server };
}

async function accepted(resources: AsyncDisposableStack): Promise<[Socket, LightSocket]> {
  const taken = Promise.withResolvers<LightSocket>();
  const listener = new LightListener('127.0.0.1', 0, taken.resolve);
  const near = connect({ port: listener.port, host: '127.0.0.1', allowHalfOpen: true, noDelay: true });
  const [far] = await Promise.all([taken.promise, once(near, 'connect')]);
  near.pause();
  listener.close();
  keep(resources, near, far);
  return [near, far];
}

async function dialled(resources: AsyncDisposableStack): Promise<[LightSocket, Socket]> {
  const { server, port } = await listening();
  const connection = once(server, 'connection') as Promise<[Socket]>;
  const near = await dial(port);
  const [far] = await connection;
  server.close();
  keep(resources, near, far);
  return [near, far];
}

function optionOf(socket: LightSocket, level: number, option: number): number {
  const value = Buffer.alloc(4);
  assert.equal(nativeSockets().getsockopt(socket.fd, level, option, value, Int32Array.of(4)), 0);
  return value.readInt32LE();
}

/** Packets of the connection that have left, so far. */
function segmentsSent(socket: LightSocket): number {
  const info = Buffer.alloc(SEGMENTS_OUT + 4);
  const length = Int32Array.of(info.length);
  assert.equal(nativeSockets().getsockopt(socket.fd, IPPROTO_TCP, TCP_INFO, info, length), 0);
  return info.readUInt32LE(SEGMENTS_OUT);
}

/** Resolves when both are closed. */
function relay(
  inner: LightSocket,
  outer: LightSocket,
  count: ByteCount,
  options: Omit<SpliceOptions, 'count' | 'done'> = {},
): Promise<void> {
  return new Promise((done) => splice(inner, outer, { ...options, count, done }));
}

function dial(port: number, { timeoutMs = 5000, speaksFirst = false } = {}): Promise<LightSocket> {
  return untilDialled((dialled) => LightSocket.dial('127.0.0.1', port, { timeoutMs, speaksFirst }, dialled));
}

async function listening(): Promise<{ server: Server; port: number }> {
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true, noDelay: true });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return { server, port: (server.address() as AddressInfo).port };
}

function keep(resources: AsyncDisposableStack, ...sockets: readonly (Socket | LightSocket)[]): void {
  for (const socket of sockets) {
    if (socket instanceof Socket) socket.on('error', () => {});
    resources.defer(() => void socket.destroy());
  }
}

interface Drained {
  readonly text: string;
  /** `end`, or what there was in its place. */
  readonly end: string;
}

/** What arrives until the end, and with what it ends. */
async function drain(socket: Socket): Promise<Drained> {
  const chunks: Buffer[] = [];
  return new Promise((resolve) => {
    const finish = (end: string): void => resolve({ text: Buffer.concat(chunks).toString(), end });
    socket.on('data', (chunk: Buffer) => chunks.push(chunk));
    const onError = (error: NodeJS.ErrnoException): void => finish(error.code ?? error.message);
    if (socket.errored !== null) return onError(socket.errored);
    socket.on('end', () => finish('end'));
    socket.on('error', onError);
    socket.resume();
  });
}

/** The same of one end of a relay that nobody else has. */
async function drainLight(socket: LightSocket): Promise<Drained> {
  const chunks: Buffer[] = [];
  return new Promise((resolve) => {
    const finish = (end: string): void => resolve({ text: Buffer.concat(chunks).toString(), end });
    socket.owner = {
      onData: (length, buffer) => void chunks.push(Buffer.from(buffer.subarray(0, length))),
      onEnd: () => finish('end'),
      onClose: () => finish('close'),
      onDrain: () => {},
    };
    socket.resume();
  });
}

function closed(socket: LightSocket): Promise<void> {
  return waitUntil(() => socket.destroyed, 'the end of a connection');
}

/** Of any size, so that some are moved and others written. */
function sendInPieces(socket: Socket, body: Buffer): void {
  let sent = 0;
  const send = (): void => {
    if (socket.destroyed) return;
    const piece = body.subarray(sent, sent + 2 ** randomInt(4, 22));
    sent += piece.length;
    if (sent < body.length) socket.write(piece, () => setImmediate(send));
    else socket.end(piece);
  };
  send();
}

/** All of it, with stops that last until the relay cannot go on either. */
function readHaltingly(socket: Socket, count: ByteCount): Promise<Buffer> {
  const chunks: Buffer[] = [];
  return new Promise((resolve, reject) => {
    socket.on('data', (chunk: Buffer) => {
      if (chunks.push(chunk) % 64 > 0) return;
      socket.pause();
      void untilStuck(count).then(() => socket.resume());
    });
    socket.once('error', reject);
    socket.once('end', () => resolve(Buffer.concat(chunks)));
    socket.resume();
  });
}

/** Some looks in a row have to find the same, as others may only have been slow. */
async function untilStuck(count: ByteCount): Promise<void> {
  let last = -1;
  for (let same = 0; same < 5; await delay(5)) {
    const passed = count.sentBytes + count.receivedBytes;
    same = passed === last ? same + 1 : 0;
    last = passed;
  }
}

function openDescriptors(): number {
  return readdirSync('/proc/self/fd').length;
}

async function untilAtMost(wanted: number, count: () => number): Promise<void> {
  for (const deadline = performance.now() + 5000; count() > wanted; await delay(5)) {
    assert(performance.now() < deadline, `${count()} are left, of at most ${wanted}`);
  }
}

async function acknowledged(socket: Socket): Promise<void> {
  const { _handle: handle } = socket as unknown as { _handle: { fd: number } };
  while (socket.writableLength + unacknowledgedBytes(handle.fd) > 0) await delay(5);
}

describe('a relay', () => {
  test('what arrived is read though its sender has hung up and nothing can be written any more', async () => {
    await using resources = new AsyncDisposableStack();
    const [near, far] = await dialled(resources);
    far.end('answer');
    await once(far, 'finish');
    far.destroy();
    // The first is answered with a reset, those after it fail.
    for (let turn = 0; turn < 20; turn++) {
      near.write('more of the request');
      await delay(2);
    }
    assert.deepEqual(await drainLight(near), { text: 'answer', end: 'end' });
    near.end();
    await closed(near);
  });

  test('an answer comes whole, and then the end, when its server closes while the client still sends', async () => {
    await using resources = new AsyncDisposableStack();
    const { client, inner, outer, server } = await relayed(resources);
    const count = { sentBytes: 0, receivedBytes: 0 };
    const spliced = relay(inner, outer, count);
    server.end(LARGE);
    await acknowledged(server);
    server.destroy();
    for (let turn = 0; turn < 20; turn++) {
      client.write('more of the request');
      await delay(2);
    }
    const { text, end } = await drain(client);
    assert.equal(text, LARGE.toString());
    assert.equal(end, 'end');
    client.end();
    await spliced;
    assert.equal(count.receivedBytes, LARGE.length);
  });

  test('a reset does not overtake what was sent before it', async () => {
    await using resources = new AsyncDisposableStack();
    for (const direction of ['down', 'up']) {
      const { client, inner, outer, server } = await relayed(resources);
      const [sender, receiver] = direction === 'down' ? [server, client] : [client, server];
      const spliced = relay(inner, outer, { sentBytes: 0, receivedBytes: 0 });
      sender.write(LARGE);
      await acknowledged(sender);
      sender.resetAndDestroy();
      await closed(direction === 'down' ? outer : inner);
      const { text, end } = await drain(receiver);
      assert.equal(text.length, LARGE.length, direction);
      assert.equal(end, 'ECONNRESET', direction);
      await spliced;
    }
  });

  test('each half ends by itself, with all that was sent on it', async () => {
    await using resources = new AsyncDisposableStack();
    const { client, inner, outer, server } = await relayed(resources);
    const spliced = relay(inner, outer, { sentBytes: 0, receivedBytes: 0 });
    server.end('goodbye');
    assert.deepEqual(await drain(client), { text: 'goodbye', end: 'end' });
    client.end(LARGE);
    assert.deepEqual(await drain(server), { text: LARGE.toString(), end: 'end' });
    await spliced;
  });

  test('the last bytes leave with the end, as one packet', async () => {
    await using resources = new AsyncDisposableStack();
    const [client, inner] = await accepted(resources);
    const { promise: connection, resolve } = Promise.withResolvers<LightSocket>();
    const listener = new LightListener('127.0.0.1', 0, resolve);
    const outer = await dial(listener.port);
    const server = await connection;
    listener.close();
    keep(resources, outer, server);
    void relay(inner, outer, { sentBytes: 0, receivedBytes: 0 });
    const before = segmentsSent(inner);
    // Both have left before anything is read.
    server.write('answer');
    server.end();
    assert.deepEqual(await drain(client), { text: 'answer', end: 'end' });
    assert.equal(segmentsSent(inner) - before, 1);
  });

  test('megabytes pass in both directions at once, unchanged, also with a look at them', async () => {
    const bytes = 5_000_000;
    const head = `POST / HTTP/1.1\r\nHost: allowed.test\r\nContent-Length: ${bytes}\r\n\r\n`;
    const body = Buffer.alloc(
      bytes,
      Array.from({ length: 251 }, (_, index) => String.fromCharCode(index % 128)).join(''),
    );
    for (const guard of [undefined, new RequestGuard('allowed.test')]) {
      await using resources = new AsyncDisposableStack();
      const { client, inner, outer, server } = await relayed(resources);
      const spliced = relay(inner, outer, { sentBytes: 0, receivedBytes: 0 }, { first: Buffer.from(head), guard });
      client.end(body);
      server.end(body);
      const [down, up] = await Promise.all([drain(client), drain(server)]);
      assert(down.text === body.toString() && down.end === 'end');
      assert(up.text === head + body.toString() && up.end === 'end');
      await spliced;
    }
  });

  test('a large body reaches a reader that stops again and again, unchanged and counted', async () => {
    await using resources = new AsyncDisposableStack();
    const { client, inner, outer, server } = await relayed(resources);
    const body = randomBytes(30_000_000);
    const count = { sentBytes: 0, receivedBytes: 0 };
    const spliced = relay(inner, outer, count);
    sendInPieces(client, body);
    sendInPieces(server, body);
    const received = await Promise.all([readHaltingly(client, count), readHaltingly(server, count)]);
    for (const one of received) {
      let at = 0;
      while (at < body.length && one[at] === body[at]) at++;
      const idx = at < body.length ? body.indexOf(one.subarray(at, at + 32)) : 0;
      assert(
        one.equals(body),
        `${one.length} of ${body.length}, differs at ${at}, what is there is at ${idx}, one back ${one.length - at}`,
      );
    }
    await spliced;
    assert.deepEqual(count, { sentBytes: body.length, receivedBytes: body.length });
  });

  test('relays that are cut in the midst of large bodies leave no descriptors', async () => {
    const before = openDescriptors();
    const body = randomBytes(30_000_000);
    for (let turn = 0; turn < 50; turn++) {
      await using resources = new AsyncDisposableStack();
      const { inner, outer, server } = await relayed(resources);
      const count = { sentBytes: 0, receivedBytes: 0 };
      const spliced = relay(inner, outer, count);
      server.end(body);
      await untilStuck(count);
      assert(count.receivedBytes < body.length);
      inner.resetAndDestroy();
      outer.resetAndDestroy();
      await spliced;
    }
    await untilAtMost(before + 2 * MAX_PIPES, openDescriptors);
  });

  test('a refusal arrives behind the answers before it, though the client goes on sending', async () => {
    await using resources = new AsyncDisposableStack();
    const { client, inner, outer, server } = await relayed(resources);
    const guard = new RequestGuard('allowed.test');
    const spliced = relay(inner, outer, { sentBytes: 0, receivedBytes: 0 }, { guard, refusal: () => 'refused' });
    client.write('GET /1 HTTP/1.1\r\nHost: allowed.test\r\n\r\nGET /2 HTTP/1.1\r\nHost: other.test\r\n\r\n');
    const sending = setInterval(() => client.write('GET /3 HTTP/1.1\r\nHost: allowed.test\r\n\r\n'), 1);
    resources.defer(() => clearInterval(sending));
    const asked = await drain(server);
    assert.deepEqual(asked, { text: 'GET /1 HTTP/1.1\r\nHost: allowed.test\r\n\r\n', end: 'end' });
    server.end('answer ');
    assert.deepEqual(await drain(client), { text: 'answer refused', end: 'end' });
    clearInterval(sending);
    client.end();
    await spliced;
  });

  test('a head that has begun and does not end is cut in time, and between heads there is time', async () => {
    await using resources = new AsyncDisposableStack();
    const { client, inner, outer, server } = await relayed(resources);
    const guard = new RequestGuard('allowed.test');
    const spliced = relay(inner, outer, { sentBytes: 0, receivedBytes: 0 }, { guard, headMs: 500 });
    const request = 'GET / HTTP/1.1\r\nHost: allowed.test\r\n\r\n';
    const asked = drain(server);
    // Each piece ends one head and begins another.
    for (let count = 0; count < 5; count++) {
      client.write(request.slice(count === 0 ? 0 : 10) + request.slice(0, 10));
      await delay(200);
    }
    client.write(request.slice(10));
    await delay(700);
    assert(!inner.destroyed, 'nothing has begun');
    client.write(request + request.slice(0, 10));
    await drain(client);
    await spliced;
    assert.equal((await asked).text, request.repeat(7));
  });

  test('an answer may take longer than a head that has begun before its client ended', async () => {
    await using resources = new AsyncDisposableStack();
    const { client, inner, outer, server } = await relayed(resources);
    const guard = new RequestGuard('allowed.test');
    const spliced = relay(inner, outer, { sentBytes: 0, receivedBytes: 0 }, { guard, headMs: 50 });
    const request = 'GET / HTTP/1.1\r\nHost: allowed.test\r\n\r\n';
    client.end(`${request}G`);
    assert.deepEqual(await drain(server), { text: request, end: 'end' });
    await delay(150);
    server.end('answer');
    assert.deepEqual(await drain(client), { text: 'answer', end: 'end' });
    await spliced;
  });

  test('a side that is gone after its end takes the other with it, which still sends', async () => {
    for (const side of ['inner', 'outer'] as const) {
      await using resources = new AsyncDisposableStack();
      const both = await relayed(resources);
      const [near, far] = side === 'inner' ? [both.client, both.server] : [both.server, both.client];
      const spliced = relay(both.inner, both.outer, { sentBytes: 0, receivedBytes: 0 });
      near.end('last');
      assert.deepEqual(await drain(far), { text: 'last', end: 'end' });
      const sending = setInterval(() => far.write('more'), 1);
      resources.defer(() => clearInterval(sending));
      both[side].destroy();
      await spliced;
    }
  });

  test('a client that sends much behind a refused request has all of it read, and gets the refusal', async () => {
    await using resources = new AsyncDisposableStack();
    const { client, inner, outer, server } = await relayed(resources);
    const guard = new RequestGuard('allowed.test');
    const spliced = relay(inner, outer, { sentBytes: 0, receivedBytes: 0 }, { guard, refusal: () => 'refused' });
    const length = 20_000_000;
    client.write(`POST / HTTP/1.1\r\nHost: allowed.test\r\nContent-Length: ${length}\r\n\r\n`);
    client.write(Buffer.alloc(length, 'x'));
    client.write('GET / HTTP/1.1\r\nHost: other.test\r\n\r\n');
    client.end(Buffer.alloc(length, 'y'));
    await delay(50);
    const asked = await drain(server);
    assert.equal(asked.end, 'end');
    server.end('answer ');
    assert.deepEqual(await drain(client), { text: 'answer refused', end: 'end' });
    await spliced;
  });
});

/** A connection on a descriptor that has been read once, and is paused. */
async function pausedAfterOne(resources: AsyncDisposableStack) {
  const [client, light] = await accepted(resources);
  const first = Promise.withResolvers<Buffer>();
  light.owner = {
    onData: (length, buffer) => {
      light.owner = undefined;
      first.resolve(Buffer.from(buffer.subarray(0, length)));
    },
    onEnd: () => {},
    onClose: () => {},
    onDrain: () => {},
  };
  light.resume();
  client.write('one ');
  return { client, light, bytes: await first.promise };
}

describe('a connection on a descriptor', () => {
  test('becomes a socket with all that was read of it', async () => {
    await using resources = new AsyncDisposableStack();
    const { client, light, bytes } = await pausedAfterOne(resources);
    client.write('two ');
    await acknowledged(client);
    // One read more may have been made, or not.
    await delay(20);
    light.putBack(bytes);
    const socket = light.toSocket();
    keep(resources, socket);
    client.end('three');
    assert.deepEqual(await drain(socket), { text: 'one two three', end: 'end' });
    socket.end('answer');
    assert.deepEqual(await drain(client), { text: 'answer', end: 'end' });
  });

  test('becomes a socket with what came while it was paused, also the end', async () => {
    await using resources = new AsyncDisposableStack();
    const { client, light, bytes } = await pausedAfterOne(resources);
    client.end('two');
    await acknowledged(client);
    await delay(20);
    light.putBack(bytes);
    const socket = light.toSocket();
    keep(resources, socket);
    assert.deepEqual(await drain(socket), { text: 'one two', end: 'end' });
    assert.throws(() => light.toSocket(), /closed/);
  });

  test('what comes while it is paused is there when it goes on, also the end', async () => {
    await using resources = new AsyncDisposableStack();
    const { client, light } = await pausedAfterOne(resources);
    client.end('two');
    await acknowledged(client);
    await delay(20);
    assert.equal(light.readableEnded, false);
    assert.deepEqual(await drainLight(light), { text: 'two', end: 'end' });
  });

  test('speaks first, and is probed and holds nothing back once it lasts', async () => {
    await using resources = new AsyncDisposableStack();
    const { server, port } = await listening();
    resources.defer(() => void server.close());
    const connection = once(server, 'connection') as Promise<[Socket]>;
    const light = await dial(port, { timeoutMs: 1000, speaksFirst: true });
    keep(resources, light);
    light.write('one');
    const [far] = await connection;
    keep(resources, far);
    assert.equal(String((await once(far.resume(), 'data'))[0]), 'one');
    assert.equal(optionOf(light, IPPROTO_TCP, TCP_NODELAY), 0);
    light.write('two');
    assert.equal(optionOf(light, IPPROTO_TCP, TCP_NODELAY), 1);
    assert.equal(String((await once(far.resume(), 'data'))[0]), 'two');
    await waitUntil(() => optionOf(light, SOL_SOCKET, SO_KEEPALIVE) === 1, 'probes');
    assert.equal(optionOf(light, IPPROTO_TCP, TCP_KEEPIDLE), 600);
  });

  test('is not made where nobody answers, in time or at all', async () => {
    const { server, port } = await listening();
    await new Promise((resolve) => server.close(resolve));
    await assert.rejects(dial(port), /ECONNREFUSED/);
    await assert.rejects(dial(port, { speaksFirst: true }), /ECONNREFUSED/);
    // Whose queue is full stays silent for a second (listen(2)): nothing is accepted before all have asked.
    await using resources = new AsyncDisposableStack();
    const full = createServer().listen({ port: 0, host: '127.0.0.1', backlog: 1 });
    await once(full, 'listening');
    resources.defer(() => void full.close());
    full.on('connection', (socket) => socket.destroy());
    const { port: busy } = full.address() as AddressInfo;
    const dials = Array.from({ length: 8 }, (_, index) => dial(busy, { timeoutMs: 50, speaksFirst: index % 2 === 0 }));
    const outcomes = await Promise.allSettled(dials);
    for (const outcome of outcomes) if (outcome.status === 'fulfilled') outcome.value.destroy();
    const last = outcomes.at(-1)!;
    assert(last.status === 'rejected' && /did not answer in time/.test(String(last.reason)), last.status);
  });

  test('what comes behind an urgent byte is read without more to come', async () => {
    await using resources = new AsyncDisposableStack();
    const [near, far] = await dialled(resources);
    const { _handle: handle } = far as unknown as { _handle: { fd: number } };
    const { send } = nativeSockets();
    assert.equal(send(handle.fd, Buffer.from('before!'), 7, MSG_OOB), 7);
    assert.equal(send(handle.fd, Buffer.from('behind'), 6, 0), 6);
    await acknowledged(far);
    const received: Buffer[] = [];
    near.owner = {
      onData: (length, buffer) => void received.push(Buffer.from(buffer.subarray(0, length))),
      onEnd: () => {},
      onClose: () => {},
      onDrain: () => {},
    };
    near.resume();
    // The urgent byte is out of band.
    await waitUntil(() => Buffer.concat(received).toString() === 'beforebehind', 'all of it');
  });

  test('ends behind reads that were full to the last byte', async () => {
    await using resources = new AsyncDisposableStack();
    for (const size of [1, 2, 3].map((count) => count * sharedBuffer.length)) {
      const [near, far] = await dialled(resources);
      far.end(Buffer.alloc(size, 'x'));
      const { text, end } = await drainLight(near);
      assert.deepEqual({ length: text.length, end }, { length: size, end: 'end' });
    }
  });

  test('tells a new owner that it is over', async () => {
    await using resources = new AsyncDisposableStack();
    const [near] = await dialled(resources);
    near.destroy();
    assert.deepEqual(await drainLight(near), { text: '', end: 'close' });
  });
});
