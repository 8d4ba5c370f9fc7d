// Ends of connections that are out of order: nothing that one side has sent is lost on its way to the other.
import assert from 'node:assert/strict';
import { randomBytes, randomInt } from 'node:crypto';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { type AddressInfo, connect, createServer, type Server, Socket } from 'node:net';
import { describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { waitUntil } from '../gateway/testing/wait-until.ts';
import { MAX_PIPES } from './kernel-pipe.ts';
import { LightSocket, takeLightSockets } from './light-socket.ts';
import { nativeSockets, unacknowledgedBytes } from './native-sockets.ts';
import { readPastWriteErrors } from './read-past-write-errors.ts';
import type { RelaySocket } from './relay-socket.ts';
import { RequestGuard } from './request-guard.ts';
import { type ByteCount, splice } from './splice.ts';

/** asm-generic/socket.h, tcp(7) */
const SOL_SOCKET = 1;
const SO_KEEPALIVE = 9;
const IPPROTO_TCP = 6;
const TCP_NODELAY = 1;
const TCP_KEEPIDLE = 4;
const LARGE = Buffer.alloc(400_000, 'answer ');

type Kind = 'on sockets' | 'on handles';

interface Relayed {
  readonly client: Socket;
  readonly inner: RelaySocket;
  readonly outer: RelaySocket;
  readonly server: Socket;
}

/** Both sides of a relay, with what stands at their other ends. Nothing is read yet. */
async function relayed(kind: Kind, resources: AsyncDisposableStack): Promise<Relayed> {
  const [client, inner] = await accepted(kind, resources);
  const [outer, server] = await dialled(kind, resources);
  return { client, inner, outer, server };
}

async function accepted(kind: Kind, resources: AsyncDisposableStack): Promise<[Socket, RelaySocket]> {
  const { server, port } = await listening();
  const taken = Promise.withResolvers<RelaySocket>();
  if (kind === 'on handles') assert(takeLightSockets(server, taken.resolve), 'this Node has no such handles');
  else server.once('connection', taken.resolve);
  const near = connect({ port, host: '127.0.0.1', allowHalfOpen: true, noDelay: true });
  const [far] = await Promise.all([taken.promise, once(near, 'connect')]);
  near.pause();
  server.close();
  keep(resources, near, far);
  return [near, far];
}

async function dialled(kind: Kind, resources: AsyncDisposableStack): Promise<[RelaySocket, Socket]> {
  const { server, port } = await listening();
  const connection = once(server, 'connection') as Promise<[Socket]>;
  let near: RelaySocket;
  if (kind === 'on handles') {
    near = await dial(port);
  } else {
    const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true, noDelay: true });
    await once(socket, 'connect');
    near = socket.pause();
  }
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

function dial(port: number, { timeoutMs = 5000, speaksFirst = false } = {}): Promise<LightSocket> {
  return LightSocket.dial('127.0.0.1', port, { timeoutMs, speaksFirst });
}

async function listening(): Promise<{ server: Server; port: number }> {
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true, noDelay: true });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return { server, port: (server.address() as AddressInfo).port };
}

function keep(resources: AsyncDisposableStack, ...sockets: readonly RelaySocket[]): void {
  for (const socket of sockets) {
    socket.on('error', () => {});
    resources.defer(() => void socket.destroy());
  }
}

/** What arrives until the end, and with what it ends. */
async function drain(socket: RelaySocket): Promise<{ readonly text: string; readonly end: string }> {
  const chunks: Buffer[] = [];
  return new Promise((resolve) => {
    const finish = (end: string): void => resolve({ text: Buffer.concat(chunks).toString(), end });
    socket.on('data', (chunk: Buffer) => chunks.push(chunk));
    const onError = (error: NodeJS.ErrnoException): void => finish(error.code ?? error.message);
    if (socket instanceof Socket && socket.errored !== null) return onError(socket.errored);
    socket.on('end', () => finish('end'));
    if (socket instanceof Socket) socket.on('error', onError);
    socket.resume();
  });
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
  while (unacknowledgedBytes(socket) > 0) await delay(5);
}

for (const kind of ['on sockets', 'on handles'] as const)
  describe(`a relay ${kind}`, () => {
    test('what arrived is read though its sender has hung up and nothing can be written any more', async () => {
      await using resources = new AsyncDisposableStack();
      const [near, far] = await dialled(kind, resources);
      if (near instanceof Socket) readPastWriteErrors(near);
      far.end('answer');
      await once(far, 'finish');
      far.destroy();
      // The first is answered with a reset, those after it fail.
      for (let turn = 0; turn < 20; turn++) {
        near.write('more of the request');
        await delay(2);
      }
      assert.deepEqual(await drain(near), { text: 'answer', end: 'end' });
      const closed = new Promise<void>((resolve) => near.once('close', resolve));
      near.end();
      await closed;
    });

    test('an answer comes whole, and then the end, when its server closes while the client still sends', async () => {
      await using resources = new AsyncDisposableStack();
      const { client, inner, outer, server } = await relayed(kind, resources);
      const count = { sentBytes: 0, receivedBytes: 0 };
      const spliced = splice(inner, outer, count);
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
        const { client, inner, outer, server } = await relayed(kind, resources);
        const [sender, receiver] = direction === 'down' ? [server, client] : [client, server];
        const spliced = splice(inner, outer, { sentBytes: 0, receivedBytes: 0 });
        sender.write(LARGE);
        await acknowledged(sender);
        const closed = new Promise<void>((resolve) => (direction === 'down' ? outer : inner).once('close', resolve));
        sender.resetAndDestroy();
        await closed;
        const { text, end } = await drain(receiver);
        assert.equal(text.length, LARGE.length, direction);
        assert.equal(end, 'ECONNRESET', direction);
        await spliced;
      }
    });

    test('each half ends by itself, with all that was sent on it', async () => {
      await using resources = new AsyncDisposableStack();
      const { client, inner, outer, server } = await relayed(kind, resources);
      const spliced = splice(inner, outer, { sentBytes: 0, receivedBytes: 0 });
      server.end('goodbye');
      assert.deepEqual(await drain(client), { text: 'goodbye', end: 'end' });
      client.end(LARGE);
      assert.deepEqual(await drain(server), { text: LARGE.toString(), end: 'end' });
      await spliced;
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
        const { client, inner, outer, server } = await relayed(kind, resources);
        const spliced = splice(inner, outer, { sentBytes: 0, receivedBytes: 0 }, { first: Buffer.from(head), guard });
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
      const { client, inner, outer, server } = await relayed(kind, resources);
      const body = randomBytes(30_000_000);
      const count = { sentBytes: 0, receivedBytes: 0 };
      const spliced = splice(inner, outer, count);
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
        const { inner, outer, server } = await relayed(kind, resources);
        const count = { sentBytes: 0, receivedBytes: 0 };
        const spliced = splice(inner, outer, count);
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
      const { client, inner, outer, server } = await relayed(kind, resources);
      const guard = new RequestGuard('allowed.test');
      const spliced = splice(inner, outer, { sentBytes: 0, receivedBytes: 0 }, { guard, refusal: 'refused' });
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
      const { client, inner, outer, server } = await relayed(kind, resources);
      const guard = new RequestGuard('allowed.test');
      const spliced = splice(inner, outer, { sentBytes: 0, receivedBytes: 0 }, { guard, headMs: 100 });
      const request = 'GET / HTTP/1.1\r\nHost: allowed.test\r\n\r\n';
      const asked = drain(server);
      // Each piece ends one head and begins another.
      for (let count = 0; count < 5; count++) {
        client.write(request.slice(count === 0 ? 0 : 10) + request.slice(0, 10));
        await delay(50);
      }
      client.write(request.slice(10));
      await delay(300);
      assert(!inner.destroyed, 'nothing has begun');
      client.write(request + request.slice(0, 10));
      await drain(client);
      await spliced;
      assert.equal((await asked).text, request.repeat(7));
    });

    test('one side may be a socket and the other a handle', async () => {
      await using resources = new AsyncDisposableStack();
      const [client, inner] = await accepted(kind, resources);
      const [outer, server] = await dialled(kind === 'on handles' ? 'on sockets' : 'on handles', resources);
      const spliced = splice(inner, outer, { sentBytes: 0, receivedBytes: 0 });
      client.end(LARGE);
      server.end(LARGE);
      const both = await Promise.all([drain(client), drain(server)]);
      for (const { text, end } of both) assert(text === LARGE.toString() && end === 'end');
      await spliced;
    });
  });

/** A connection on a handle that has been read once, and is paused. */
async function pausedAfterOne(resources: AsyncDisposableStack) {
  const [client, light] = await accepted('on handles', resources);
  assert(light instanceof LightSocket);
  const first = new Promise<Buffer>((resolve) => light.on('data', resolve));
  light.resume();
  client.write('one ');
  const bytes = await first;
  light.pause();
  return { client, light, bytes };
}

describe('a connection on a handle', () => {
  test('becomes a socket with all that was read of it', async () => {
    await using resources = new AsyncDisposableStack();
    const { client, light, bytes } = await pausedAfterOne(resources);
    client.write('two ');
    await acknowledged(client);
    // One read more may have been made, or not.
    await delay(20);
    const socket = light.toSocket(bytes);
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
    const socket = light.toSocket(bytes);
    keep(resources, socket);
    assert.deepEqual(await drain(socket), { text: 'one two', end: 'end' });
    assert.throws(() => light.toSocket(bytes), /closed/);
  });

  test('what comes while it is paused is there when it goes on, also the end', async () => {
    await using resources = new AsyncDisposableStack();
    const { client, light } = await pausedAfterOne(resources);
    client.end('two');
    await acknowledged(client);
    await delay(20);
    assert.equal(light.readableEnded, false);
    assert.deepEqual(await drain(light), { text: 'two', end: 'end' });
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
});
