// Ends of connections that are out of order: nothing that one side has sent is lost on its way to the other.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { unacknowledgedBytes } from './native-sockets.ts';
import { readPastWriteErrors } from './read-past-write-errors.ts';
import { RequestGuard } from './request-guard.ts';
import { splice } from './splice.ts';

const LARGE = Buffer.alloc(400_000, 'answer ');

/** Both ends of a connection; the second is that of the listener. Neither is read yet. */
async function pair(resources: AsyncDisposableStack): Promise<[Socket, Socket]> {
  const server: Server = createServer({ allowHalfOpen: true, pauseOnConnect: true, noDelay: true });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const near = connect({ port, host: '127.0.0.1', allowHalfOpen: true, noDelay: true });
  const [[far]] = await Promise.all([once(server, 'connection') as Promise<[Socket]>, once(near, 'connect')]);
  near.pause();
  server.close();
  for (const socket of [near, far]) {
    socket.on('error', () => {});
    resources.defer(() => void socket.destroy());
  }
  return [near, far];
}

/** What arrives until the end, and with what it ends. */
async function drain(socket: Socket): Promise<{ readonly text: string; readonly end: string }> {
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

async function acknowledged(socket: Socket): Promise<void> {
  while (unacknowledgedBytes(socket) > 0) await delay(5);
}

test('what arrived is read though its sender has hung up and nothing can be written any more', async () => {
  await using resources = new AsyncDisposableStack();
  const [near, far] = await pair(resources);
  readPastWriteErrors(near);
  far.end('answer');
  await once(far, 'finish');
  far.destroy();
  // The first is answered with a reset, those after it fail.
  for (let turn = 0; turn < 20; turn++) {
    near.write('more of the request');
    await delay(2);
  }
  assert.deepEqual(await drain(near), { text: 'answer', end: 'end' });
  near.end();
  await once(near, 'close');
});

test('an answer comes whole, and then the end, when its server closes while the client still sends', async () => {
  await using resources = new AsyncDisposableStack();
  const [client, inner] = await pair(resources);
  const [outer, server] = await pair(resources);
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
    const [client, inner] = await pair(resources);
    const [outer, server] = await pair(resources);
    const [sender, receiver] = direction === 'down' ? [server, client] : [client, server];
    const spliced = splice(inner, outer, { sentBytes: 0, receivedBytes: 0 });
    sender.write(LARGE);
    await acknowledged(sender);
    const closed = new Promise((resolve) => (direction === 'down' ? outer : inner).once('close', resolve));
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
  const [client, inner] = await pair(resources);
  const [outer, server] = await pair(resources);
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
    const [client, inner] = await pair(resources);
    const [outer, server] = await pair(resources);
    const spliced = splice(inner, outer, { sentBytes: 0, receivedBytes: 0 }, { first: Buffer.from(head), guard });
    client.end(body);
    server.end(body);
    const [down, up] = await Promise.all([drain(client), drain(server)]);
    assert(down.text === body.toString() && down.end === 'end');
    assert(up.text === head + body.toString() && up.end === 'end');
    await spliced;
  }
});

test('a refusal arrives behind the answers before it, though the client goes on sending', async () => {
  await using resources = new AsyncDisposableStack();
  const [client, inner] = await pair(resources);
  const [outer, server] = await pair(resources);
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
