// Connections in TLS on Node's own handles behave as its sockets do, as far as the gateway can tell.

import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { type AddressInfo, connect as connectTcp, createServer, type Server, type Socket } from 'node:net';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls';
import { limits } from './limits.ts';
import { Sweep } from './sweep.ts';
import { takeConnections } from './tcp-handle.ts';
import { TcpStream } from './tcp-stream.ts';
import { keyUpdates } from './testing/key-updates.ts';
import { Recorder } from './testing/recorder.ts';
import { testTls } from './testing/test-tls.ts';
import { waitUntil } from './testing/wait-until.ts';
import { TlsFront } from './tls-front.ts';
import { hasTlsHandles } from './tls-handle.ts';
import { TlsStream } from './tls-stream.ts';

const PIECE = Buffer.alloc(limits.writeBuffer, 'x');

/** Takes the first bytes, as the listener does, and passes on the connection with them. */
class First extends Recorder {
  readonly #tcp: TcpStream;
  constructor(tcp: TcpStream) {
    super();
    this.#tcp = tcp;
    tcp.owner = this;
    tcp.resume();
  }
  override read(length: number, buf: Buffer): void {
    front.accept(this.#tcp, buf.subarray(0, length));
  }
}

let late = 0;
let sweep: Sweep;
let front: TlsFront;
let server: Server;
let port: number;
let owner: Recorder;
let tcp: TcpStream | undefined;
let secured: PromiseWithResolvers<TlsStream>;
let clients: Socket[];
let accepted: number;
let released: number;
const traffic = { received: 0, sent: 0 };

beforeEach(async () => {
  assert.ok(hasTlsHandles, 'this version of Node has the names that TLS is put on handles by');
  late = released = accepted = traffic.received = traffic.sent = 0;
  clients = [];
  owner = new Recorder();
  secured = Promise.withResolvers();
  sweep = new Sweep(2, () => performance.now() + late);
  front = new TlsFront(testTls, sweep, (stream) => {
    assert.ok(stream instanceof TlsStream);
    stream.owner = owner;
    secured.resolve(stream);
  });
  server = createServer({ allowHalfOpen: true }, () => assert.fail('a socket was made'));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  port = (server.address() as AddressInfo).port;
  takeConnections(server, 30_000, (handle) => {
    accepted++;
    tcp = new TcpStream(handle, { traffic, port, released: () => released++ });
    new First(tcp);
  });
});

afterEach(async () => {
  for (const client of clients) client.destroy();
  tcp?.destroy();
  server.close();
  await waitUntil(() => released === accepted, 'the end of every connection');
  sweep[Symbol.dispose]();
});

function open(): Socket {
  const socket = connectTcp({ port, host: '127.0.0.1', allowHalfOpen: true });
  socket.on('error', () => {});
  clients.push(socket);
  return socket;
}

async function shake(options: ConnectionOptions = {}): Promise<{ client: TLSSocket; stream: TlsStream }> {
  const half: { allowHalfOpen?: boolean } = { allowHalfOpen: true };
  const client = connect({ socket: open(), rejectUnauthorized: false, ...half, ...options });
  clients.push(client);
  client.on('error', () => {});
  await once(client, 'secureConnect');
  return { client, stream: await secured.promise };
}

describe('a connection in TLS on a handle', () => {
  for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
    it(`is read while it is not paused, and to its last byte, in ${version}`, async () => {
      const { client, stream } = await shake({ minVersion: version, maxVersion: version });
      client.write('one');
      await waitUntil(() => owner.received === 'one', 'the first bytes');
      stream.pause();
      client.end('two');
      stream.resume();
      await waitUntil(() => owner.ended, 'the end');
      assert.equal(owner.received, 'onetwo');
      assert.equal(owner.closed, false);
      // The other half is still open.
      const answer = once(client, 'data');
      stream.write(Buffer.from('three'));
      assert.equal(String((await answer)[0]), 'three');
      const end = once(client, 'end');
      stream.end();
      await end;
      await waitUntil(() => owner.closed, 'the close after both halves');
    });
  }

  it('counts the bytes that are on the wire, once', async () => {
    const { client, stream } = await shake();
    client.write('hello');
    await waitUntil(() => owner.received === 'hello', 'the bytes');
    stream.write(Buffer.from('bye'));
    await once(client, 'data');
    const live = { received: traffic.received + tcp!.bytesRead, sent: traffic.sent + tcp!.bytesWritten };
    const raw = clients[0]!;
    assert.deepEqual(live, { received: raw.bytesWritten, sent: raw.bytesRead });
    stream.destroy();
    await waitUntil(() => owner.closed, 'the close');
    assert.deepEqual(traffic, live);
  });

  it('keeps the order of what is written at once, in whatever pieces, and tells of each that has left', async () => {
    const { client, stream } = await shake();
    const sent = createHash('sha256');
    const received = createHash('sha256');
    let bytes = 0;
    client.on('data', (chunk) => {
      bytes += chunk.length;
      received.update(chunk);
    });
    let written = 0;
    let total = 0;
    for (let i = 0; i < 300; i++) {
      const piece = randomBytes([0, 1, 100, 20_000, 70_000][i % 5]!);
      total += piece.length;
      sent.update(piece);
      stream.write(piece, () => {
        written++;
        // The first that is not empty, behind which the others wait: what is written now comes after them.
        if (i === 1) {
          const more = randomBytes(10);
          total += more.length;
          sent.update(more);
          stream.write(more);
        }
      });
    }
    await waitUntil(() => written === 300 && bytes === total, 'all bytes');
    assert.equal(received.digest('hex'), sent.digest('hex'));
    assert.equal(stream.writableLength, 0);
    assert.equal(stream.holdsBytes, false);
  });

  it('tells a writer to wait for a slow reader, and when to go on; its end comes after all that was written', async () => {
    const { client, stream } = await shake();
    client.pause();
    let sent = 0;
    let written = 0;
    do {
      sent++;
    } while (stream.write(PIECE, () => written++) && sent < 1000);
    for (let i = 0; i < 300; i++, sent++) stream.write(PIECE, () => written++);
    assert.ok(stream.writableLength > 300 * PIECE.length);
    let received = 0;
    client.on('data', (chunk) => {
      received += chunk.length;
    });
    client.resume();
    await waitUntil(() => owner.drains === 1, 'the drain');
    assert.deepEqual([stream.writableLength, written], [0, sent]);
    stream.write(PIECE);
    stream.end();
    assert.equal(stream.write(PIECE), false);
    await once(client, 'end');
    assert.equal(received, (sent + 1) * PIECE.length);
  });

  it('can be reset and destroyed, also with bytes and its end on their way', async () => {
    for (const close of ['reset', 'destroy', 'end and reset'] as const) {
      secured = Promise.withResolvers();
      owner = new Recorder();
      const { client, stream } = await shake();
      client.pause();
      while (stream.write(PIECE));
      stream.write(PIECE);
      if (close === 'end and reset') stream.end();
      if (close === 'destroy') stream.destroy();
      else tcp!.resetAndDestroy();
      assert.equal(stream.destroyed, true);
      assert.equal(stream.write(PIECE), false);
      await waitUntil(() => owner.closed, 'the close');
    }
  });

  it('closes when its client resets it, before and after keys are agreed on', async () => {
    const early = open();
    await once(early, 'connect');
    early.write('\x16\x03\x01\x02\x00\x01\x00', 'latin1');
    await waitUntil(() => traffic.received + (tcp?.bytesRead ?? 0) === 7, 'the bytes');
    early.resetAndDestroy();
    await waitUntil(() => released === 1, 'the close of the first');
    const { stream } = await shake();
    // A client's own TLS may say that it ends before the reset does.
    owner.onEnd = () => stream.end();
    clients[clients.length - 2]!.resetAndDestroy();
    await waitUntil(() => owner.closed && released === 2, 'the close of the second');
  });

  for (const [what, bytes] of [
    ['garbage', '\x16\x03\x01\x00\x05hello'],
    ['a record that is longer than one may be', '\x16\x03\x01\xff\xff'],
    ['half a hello and its end', '\x16\x03\x01\x02\x00\x01\x00'],
  ] as const) {
    it(`ends where a handshake is ${what}`, async () => {
      const client = open();
      client.resume();
      client.end(bytes, 'latin1');
      await once(client, 'close');
      await waitUntil(() => released === 1, 'the close');
    });
  }

  it('ends where a record cannot be read', async () => {
    const { client } = await shake();
    clients[clients.length - 2]!.write('\x17\x03\x03\x00\x20nothing that was encrypted with keys', 'latin1');
    await waitUntil(() => owner.closed, 'the close');
    assert.equal(owner.received, '');
    client.destroy();
  });

  it('has so much time for its handshake', async () => {
    const client = open();
    client.resume();
    client.write('\x16\x03\x01\x02\x00\x01\x00', 'latin1');
    await waitUntil(() => (tcp?.bytesRead ?? 0) === 7, 'the bytes');
    late += limits.tlsHandshakeTime + limits.sweepInterval;
    await waitUntil(() => released === 1, 'the close');
  });

  it('makes no second handshake', async () => {
    const { client } = await shake({ maxVersion: 'TLSv1.2' });
    const failed = once(client, 'error');
    client.renegotiate({}, () => assert.fail('keys were agreed on anew'));
    const [error] = (await failed) as [NodeJS.ErrnoException];
    assert.equal(error.code, 'ERR_SSL_NO_RENEGOTIATION');
  });

  it('ends when its client has keys changed again and again and reads none of the answers', async () => {
    const raw = open();
    const client = connect({ socket: raw, rejectUnauthorized: false, ciphers: 'TLS_AES_128_GCM_SHA256' });
    const keys = Promise.withResolvers<Buffer>();
    client.on('error', () => {});
    client.on('keylog', (line: Buffer) => {
      const [name, , secret] = line.toString().trim().split(' ');
      if (name === 'CLIENT_TRAFFIC_SECRET_0') keys.resolve(Buffer.from(secret!, 'hex'));
    });
    clients.push(client);
    await once(client, 'secureConnect');
    const stream = await secured.promise;
    client.pause();
    // What the kernel takes for a client that does not read is full.
    for (let i = 0; i < 256; i++) stream.write(PIECE);
    await waitUntil(() => owner.drains === 0 && stream.writableLength === 255 * PIECE.length, 'all of it on its way');
    const { writableLength } = stream;
    late += 10 * limits.tlsCheckInterval;
    await waitUntil(() => sweep.now >= late, 'a look');
    assert.equal(owner.closed, false, 'a slow reader is no offence');
    const before = tcp!.bytesRead;
    const updates = keyUpdates(await keys.promise, Math.ceil(limits.tlsUnread / 20));
    const below = raw as unknown as { _handle: { writeBuffer(request: object, data: Buffer): number } };
    const { WriteWrap } = (process as unknown as { binding(name: string): { WriteWrap: new () => object } }).binding(
      'stream_wrap',
    );
    assert.equal(below._handle.writeBuffer(Object.assign(new WriteWrap(), { data: updates }), updates), 0);
    await waitUntil(() => owner.closed || tcp!.bytesRead - before === updates.length, 'the flood');
    assert.equal(stream.writableLength, writableLength);
    late += 2 * limits.tlsCheckInterval;
    await waitUntil(() => owner.closed, 'the close');
  });
});

describe('HTTP/2 in TLS', () => {
  it('goes on as a socket, which ends what is below it and with it', async () => {
    for (const end of ['socket', 'connection'] as const) {
      const { promise, resolve } = Promise.withResolvers<Socket>();
      front = new TlsFront(testTls, sweep, (stream) => {
        assert.ok(stream instanceof TlsStream);
        assert.equal(stream.alpnProtocol, 'h2');
        resolve(stream.toSocket());
      });
      const client = connect({ socket: open(), rejectUnauthorized: false, ALPNProtocols: ['h2', 'http/1.1'] });
      client.on('error', () => {});
      clients.push(client);
      await once(client, 'secureConnect');
      const socket = await promise;
      socket.on('error', () => {});
      assert.equal(socket.remotePort, clients[clients.length - 2]!.localPort);
      client.write('hello');
      await waitUntil(() => socket.bytesRead === 5, 'the bytes');
      socket.write('bye');
      assert.equal(String((await once(client, 'data'))[0]), 'bye');
      const closed = once(socket, 'close');
      if (end === 'socket') socket.destroy();
      else tcp!.destroy();
      await closed;
      assert.equal(tcp!.destroyed, true);
      await waitUntil(() => released === accepted, 'the close');
    }
  });
});
