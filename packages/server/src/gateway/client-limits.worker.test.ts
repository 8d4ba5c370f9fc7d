// The limits of one client connection as an operator has set them, through a real worker.

import assert from 'node:assert/strict';
import { type ClientHttp2Session, connect } from 'node:http2';
import { after, before, describe, it } from 'node:test';
import { type ClientLimits, defaultClientLimits } from '@sandport/protocol/routes';
import { DOMAIN, FakeControl } from './testing/fake-control.ts';
import { RawOrigin } from './testing/origin.ts';
import { RawClient } from './testing/raw-client.ts';

const KIB = 1024;

let origin: RawOrigin;
let host: string;

before(async () => {
  // A server of its own, because that of Node takes no more than 16 KiB.
  origin = await RawOrigin.start((socket) => {
    let head = '';
    socket.on('data', (chunk) => {
      head += chunk.toString('latin1');
      if (!head.endsWith('\r\n\r\n')) return;
      const more = head.startsWith('GET /large ') ? `X-Large: ${'x'.repeat(15 * KIB)}\r\n` : '';
      socket.write(`HTTP/1.1 200 OK\r\n${more}Content-Length: 2\r\n\r\nok`);
      head = '';
    });
  });
  host = `${origin.port}-one.${DOMAIN}`;
});

after(async () => {
  await origin?.[Symbol.asyncDispose]();
});

function start(clients: Partial<ClientLimits>): Promise<FakeControl> {
  const route = { sandboxId: 'one', generation: 'g1', address: origin.address, access: { kind: 'public' } } as const;
  const settings = { clients: { ...defaultClientLimits, ...clients } };
  return FakeControl.start([route], [], undefined, undefined, settings);
}

/** Fields that are told apart by their number, with so many bytes of values together. */
function fields(count: number, bytes: number): Record<string, string> {
  const value = 'v'.repeat(Math.ceil(bytes / count));
  return Object.fromEntries(Array.from({ length: count }, (_, i) => [`x-${i}`, value]));
}

async function overHttp1(control: FakeControl, path: string, more: Record<string, string>): Promise<number> {
  using client = new RawClient(control.port);
  const lines = Object.entries(more).map(([name, value]) => `${name}: ${value}\r\n`);
  client.send(`GET ${path} HTTP/1.1\r\nHost: ${host}\r\n${lines.join('')}\r\n`);
  return Number(/ (\d+)/.exec(await client.expect(/^HTTP\/1\.1 \d+ /))![1]);
}

async function overHttp2(session: ClientHttp2Session, path: string, more: Record<string, string>): Promise<number> {
  const stream = session.request({ ':authority': host, ':path': path, ...more });
  const answer = new Promise<number>((resolve, reject) => {
    stream.once('response', (headers) => resolve(headers[':status'] ?? 0)).once('error', reject);
  });
  stream.resume();
  return answer;
}

describe('heads', () => {
  for (const [what, clients, cases] of [
    [
      'may be smaller',
      { headBytes: 8 * KIB, headerCount: 20 },
      [
        ['/', fields(10, 7 * KIB), 200],
        ['/', fields(10, 9 * KIB), 431],
        ['/', fields(18, 100), 200],
        ['/', fields(21, 100), 431],
        [`/${'a'.repeat(4 * KIB)}`, {}, 414],
        ['/large', {}, 502],
      ],
    ],
    [
      'may be larger',
      { headBytes: 128 * KIB, headerCount: 1000 },
      [
        ['/', fields(15, 14 * KIB), 200],
        ['/', fields(900, 14 * KIB), 200],
        ['/', fields(900, 100 * KIB), 200],
        ['/', fields(1001, 14 * KIB), 431],
        ['/', fields(15, 130 * KIB), 431],
        ['/large', {}, 200],
      ],
    ],
  ] as const) {
    it(`${what} than they are by default, in both versions of HTTP`, async () => {
      await using control = await start(clients);
      for (const [path, more, status] of cases) {
        const bytes = Object.values(more).join('').length;
        assert.equal(await overHttp1(control, path, more), status, `${path.slice(0, 10)} with ${bytes} bytes`);
      }
      for (const [path, more, status] of cases) {
        const bytes = Object.values(more).join('').length;
        const session = connect(`http://127.0.0.1:${control.port}`, { maxSendHeaderBlockLength: 300 * KIB });
        try {
          assert.equal(await overHttp2(session, path, more), status, `HTTP/2: ${path.slice(0, 10)}, ${bytes} bytes`);
        } finally {
          session.destroy();
        }
      }
    });
  }
});

describe('times', () => {
  it('are those that were set, for a head that does not end and for a connection that does nothing', async () => {
    await using control = await start({ headTime: 500, idleTime: 500 });
    using slow = new RawClient(control.port);
    slow.send(`GET / HTTP/1.1\r\nHost: ${host}\r\n`);
    using idle = new RawClient(control.port);
    idle.send(`GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
    await idle.expect(/200 OK/);
    await slow.expect(/^HTTP\/1\.1 408 /);
    assert.equal(await slow.untilEnded(), 'end');
    assert.equal(await idle.untilEnded(), 'end');
  });
});
