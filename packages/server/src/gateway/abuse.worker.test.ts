// Clients and servers that mean harm: the others are served meanwhile, and the worker's memory stays bounded.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { after, afterEach, before, describe, it, type TestContext } from 'node:test';
import { connect as connectTls } from 'node:tls';
import { DOMAIN, FakeControl } from './testing/fake-control.ts';
import { FrameType, fieldBlock, frame, headersFrame, PREFACE } from './testing/http2-frames.ts';
import { HttpOrigin, RawOrigin } from './testing/origin.ts';
import { RawClient } from './testing/raw-client.ts';
import { waitUntil } from './testing/wait-until.ts';

const MIB = 1024 * 1024;
/** What the memory may grow by; unbounded it would be gigabytes in each of these tests. */
const MOST = 160 * MIB;

let control: FakeControl;
let honest: HttpOrigin;
let routes = 0;
const sockets = new Set<Socket>();

before(async () => {
  honest = await HttpOrigin.start((_request, response) => response.end('served'));
  control = await FakeControl.start([]);
  await hostOf(honest);
  await others();
});

afterEach(async () => {
  for (const socket of sockets) socket.destroy();
  sockets.clear();
  await others();
});

after(async () => {
  await control[Symbol.asyncDispose]();
  await honest[Symbol.asyncDispose]();
});

async function hostOf(origin: { address: string; port: number }): Promise<string> {
  const sandboxId = `s${++routes}`;
  const route = { sandboxId, generation: 'g1', address: origin.address, access: { kind: 'public' } } as const;
  await control.apply({ type: 'set-route', route });
  return `${origin.port}-${sandboxId}.${DOMAIN}`;
}

/** Somebody else's request, on a connection of its own. */
async function others(): Promise<void> {
  using client = new RawClient(control.port);
  client.send(`GET / HTTP/1.1\r\nHost: ${honest.port}-s1.${DOMAIN}\r\n\r\n`);
  await client.expect(/served$/);
}

async function open(): Promise<Socket> {
  const socket = connect(control.port, '127.0.0.1');
  socket.on('error', () => {});
  sockets.add(socket);
  await once(socket, 'connect');
  return socket;
}

/** Memory of the worker in bytes. */
function memory(): number {
  const status = readFileSync(`/proc/${control.worker.pid}/status`, 'utf8');
  return Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1]) * 1024;
}

/** Runs `act`, and holds what the worker's memory has grown by against the bound. */
async function bounded(t: TestContext, act: () => Promise<void>): Promise<void> {
  const start = memory();
  await act();
  await others();
  const grown = memory() - start;
  t.diagnostic(`memory grew by ${(grown / MIB).toFixed(1)} MiB, from ${(start / MIB).toFixed(1)}`);
  assert.ok(grown < MOST, `grew by ${grown / MIB} MiB`);
}

/** Waits until a number stops changing. */
/** A server of answers that are larger than what may wait for a client. */
async function largeAnswers() {
  const piece = Buffer.alloc(MIB);
  let sent = 0;
  const origin = await RawOrigin.start((socket) => {
    const more = (): void => {
      while (sent < 4096 && socket.write(piece)) sent++;
    };
    socket.once('data', () => {
      socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${64 * MIB}\r\n\r\n`);
      more();
    });
    socket.on('drain', more);
  });
  const { address, port } = origin;
  return { address, port, sent: () => sent, [Symbol.asyncDispose]: () => origin[Symbol.asyncDispose]() };
}

async function settled(value: () => number): Promise<void> {
  let last = Number.NaN;
  for (let same = 0; same < 8; ) {
    await new Promise((resolve) => setTimeout(resolve, 20));
    const now = value();
    same = now === last ? same + 1 : 0;
    last = now;
  }
}

describe('clients', () => {
  it('that never finish their heads', async (t) => {
    await bounded(t, async () => {
      for (let i = 0; i < 500; i++) {
        const socket = await open();
        socket.write(`GET / HTTP/1.1\r\nHost: a\r\nX: ${'x'.repeat(16 * 1024)}`);
      }
      await others();
    });
  });

  it('that are connected and idle', async (t) => {
    await bounded(t, async () => {
      for (let i = 0; i < 2000; i++) {
        const socket = await open();
        socket.write(`GET / HTTP/1.1\r\nHost: 3000-gone.${DOMAIN}\r\n\r\n`);
        if (i % 100 === 0) await once(socket, 'data');
      }
    });
  });

  it('that never read their answers', async (t) => {
    await using large = await largeAnswers();
    const host = await hostOf(large);
    await bounded(t, async () => {
      for (let i = 0; i < 64; i++) {
        const socket = await open();
        socket.pause();
        socket.write(`GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
      }
      await settled(large.sent);
    });
  });

  it('that never finish their TLS handshakes', async (t) => {
    // The start of a hello of 16 KiB.
    const hello = Buffer.concat([Buffer.from([22, 3, 1, 64, 0, 1, 0, 63, 252]), Buffer.alloc(16_000)]);
    await bounded(t, async () => {
      for (let i = 0; i < 1000; i++) (await open()).write(hello);
      await others();
    });
  });

  it('that shake hands in TLS and never read their answers', async (t) => {
    await using large = await largeAnswers();
    const host = await hostOf(large);
    await bounded(t, async () => {
      for (let i = 0; i < 64; i++) {
        const tcp = await open();
        const socket = connectTls({ socket: tcp, rejectUnauthorized: false });
        socket.on('error', () => {});
        await once(socket, 'secureConnect');
        socket.pause();
        socket.write(`GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
      }
      await settled(large.sent);
    });
  });

  it('that send requests without end and never read', async (t) => {
    const host = `${honest.port}-s1.${DOMAIN}`;
    await bounded(t, async () => {
      for (let i = 0; i < 8; i++) {
        const socket = await open();
        socket.pause();
        for (let n = 0; n < 64; n++) socket.write(`GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`.repeat(1000));
      }
      await settled(() => [...sockets].reduce((sum, socket) => sum + socket.writableLength, 0));
    });
  });
});

describe('servers', () => {
  it('that never read a body', async (t) => {
    await using origin = await RawOrigin.start((socket) => {
      socket.pause();
    });
    const host = await hostOf(origin);
    await bounded(t, async () => {
      for (let i = 0; i < 64; i++) {
        const socket = await open();
        socket.write(`PUT / HTTP/1.1\r\nHost: ${host}\r\nContent-Length: ${64 * MIB}\r\n\r\n`);
        const piece = Buffer.alloc(16 * MIB);
        for (let n = 0; n < 4; n++) socket.write(piece);
      }
      await settled(() => [...sockets].reduce((sum, socket) => sum + socket.writableLength, 0));
    });
  });

  it('that never answer', async (t) => {
    await using origin = await RawOrigin.start((socket) => {
      socket.resume();
    });
    const host = await hostOf(origin);
    await bounded(t, async () => {
      for (let i = 0; i < 300; i++) (await open()).write(`GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
      await waitUntil(() => origin.sockets.size === 300, 'the requests');
    });
    // One that only closes its side may still be waiting for the answer.
    for (const socket of sockets) socket.resetAndDestroy();
    await waitUntil(() => origin.sockets.size === 0, 'the end of the requests with their clients');
  });

  const endless: Record<string, [start: string, more: string]> = {
    'a status line': ['HTTP/1.1 200 ', 'x'],
    'header lines': ['HTTP/1.1 200 OK\r\n', 'A: b\r\n'],
    'one header line': ['HTTP/1.1 200 OK\r\nA: ', 'b'],
    'informational answers': ['', 'HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n'],
    noise: ['\x16\x03\x01', '\0'],
  };
  for (const [what, [start, more]] of Object.entries(endless)) {
    it(`that answer with ${what} without end`, async (t) => {
      await using origin = await RawOrigin.start((socket) => {
        const piece = more.repeat(Math.ceil(65_536 / more.length));
        const go = (): void => {
          while (socket.write(piece, 'latin1'));
        };
        socket.on('drain', go);
        socket.once('data', () => {
          socket.write(start, 'latin1');
          go();
        });
      });
      const host = await hostOf(origin);
      await bounded(t, async () => {
        using client = new RawClient(control.port);
        client.send(`GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
        await client.expect(/HTTP\/1\.1 502 /);
      });
      await waitUntil(() => origin.sockets.size === 0, 'the end of the connection');
    });
  }
});

describe('HTTP/2 clients', () => {
  const fields = (host: string): [string, string][] => [
    [':method', 'GET'],
    [':scheme', 'http'],
    [':path', '/'],
    [':authority', host],
  ];
  const NO_ERROR = Buffer.alloc(4);

  it('that reset streams as fast as they open them', async (t) => {
    await using origin = await RawOrigin.start((socket) => {
      socket.resume().on('end', () => socket.end());
    });
    const host = await hostOf(origin);
    await bounded(t, async () => {
      const socket = await open();
      socket.resume();
      socket.write(PREFACE);
      for (let i = 0; i < 20_000 && !socket.destroyed; i++) {
        const stream = 2 * i + 1;
        socket.write(
          Buffer.concat([headersFrame(stream, fields(host), true), frame(FrameType.rstStream, 0, stream, NO_ERROR)]),
        );
        if (i % 500 === 0) await new Promise((resolve) => setImmediate(resolve));
      }
      await waitUntil(() => socket.destroyed || socket.writableLength === 0, 'the end of the flood');
    });
    await waitUntil(() => origin.sockets.size === 0, 'the end of the requests with their streams');
  });

  const floods: Record<string, Buffer> = {
    SETTINGS: frame(FrameType.settings, 0, 0, Buffer.from([0, 3, 0, 0, 0, 100])),
    PING: frame(FrameType.ping, 0, 0, Buffer.alloc(8)),
    'empty DATA': frame(FrameType.data, 0, 1, Buffer.alloc(0)),
  };
  for (const [what, one] of Object.entries(floods)) {
    it(`that send ${what} without end, and never read`, async (t) => {
      const host = `${honest.port}-s1.${DOMAIN}`;
      await bounded(t, async () => {
        const socket = await open();
        socket.pause();
        socket.write(PREFACE);
        const post = fields(host);
        post[0] = [':method', 'POST'];
        socket.write(headersFrame(1, post));
        const piece = Buffer.concat(Array.from({ length: 10_000 }, () => one));
        for (let i = 0; i < 100 && !socket.destroyed; i++) {
          socket.write(piece);
          await new Promise((resolve) => setImmediate(resolve));
        }
        await settled(() => socket.writableLength);
      });
    });
  }

  it('that send header fields without end', async (t) => {
    await bounded(t, async () => {
      const socket = await open();
      socket.resume();
      socket.write(PREFACE);
      socket.write(frame(FrameType.headers, 0, 1, fieldBlock(fields('a'))));
      const piece = frame(
        FrameType.continuation,
        0,
        1,
        fieldBlock(Array.from({ length: 100 }, (_, i) => [`x-${i}`, 'y'.repeat(100)])),
      );
      for (let i = 0; i < 2000 && !socket.destroyed; i++) {
        socket.write(piece);
        if (i % 50 === 0) await new Promise((resolve) => setImmediate(resolve));
      }
      await waitUntil(() => socket.destroyed, 'the end of the connection');
    });
  });
});
