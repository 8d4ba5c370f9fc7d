// The beginning of what comes through a tunnel is no part of the talk with the proxy, however closely it follows.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { test } from 'node:test';
import { LightSocket, untilDialled } from './light-socket.ts';
import { openTunnel } from './socks5.ts';

/** To a proxy that answers each message of the client with the next of `answers`, and hangs up behind the last one. */
async function connected(resources: AsyncDisposableStack, answers: readonly Buffer[]): Promise<LightSocket> {
  const server = createServer((socket: Socket) => {
    const left = [...answers];
    socket.on('error', () => {});
    socket.on('data', () => {
      const next = left.shift();
      if (next === undefined) return;
      if (left.length === 0) socket.end(next);
      else socket.write(next);
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  resources.defer(() => void server.close());
  const { port } = server.address() as AddressInfo;
  const light = await untilDialled((dialled) =>
    LightSocket.dial('127.0.0.1', port, { timeoutMs: 5000, speaksFirst: true }, dialled),
  );
  resources.defer(() => light.destroy());
  return light;
}

const METHOD = Buffer.from([5, 0]);
const REPLY = Buffer.from([5, 0, 0, 1, 127, 0, 0, 1, 0, 80]);
const TARGET = { host: 'allowed.test', port: 80, isName: true };

test('what a host says behind the answer of the proxy is there, also when it hangs up at once', async () => {
  await using resources = new AsyncDisposableStack();
  const light = await connected(resources, [METHOD, Buffer.concat([REPLY, Buffer.from('banner')])]);
  await openTunnel(light, {}, TARGET);
  const received: string[] = [];
  await new Promise<void>((resolve) => {
    light.owner = {
      onData: (length, buffer) => void received.push(buffer.toString('latin1', 0, length)),
      onEnd: resolve,
      onClose: resolve,
      onDrain: () => {},
    };
    light.resume();
  });
  assert.equal(received.join(''), 'banner');
});

test('a proxy that hangs up in the midst of an answer is told of', async () => {
  for (const answers of [[METHOD.subarray(0, 1)], [METHOD, REPLY.subarray(0, 6)]]) {
    await using resources = new AsyncDisposableStack();
    const light = await connected(resources, answers);
    await assert.rejects(openTunnel(light, {}, TARGET), /closed the connection/);
  }
});
