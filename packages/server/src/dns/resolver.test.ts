import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import { createSocket, type RemoteInfo, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { mkdtempDisposable, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { machineNameservers, Resolver, type ResolverOptions } from './resolver.ts';

/** A question for the address of example.com (RFC 1035, section 4.1). */
function question(id: number): Buffer {
  const name = Buffer.from('\x07example\x03com\x00', 'latin1');
  const header = Buffer.from([id >> 8, id & 255, 0x01, 0x00, 0, 1, 0, 0, 0, 0, 0, 0]);
  return Buffer.concat([header, name, Buffer.from([0, 1, 0, 1])]);
}

async function openSocket(context: TestContext, port = 0, address = '127.0.0.1'): Promise<Socket> {
  const socket = createSocket('udp4');
  context.after(() => new Promise<void>((resolve) => void socket.close(() => resolve())));
  socket.bind(port, address);
  await once(socket, 'listening');
  return socket;
}

/** Nameservers answer on port 53 only, of which every loopback address has one; its owner has to be root. */
async function startUpstream(context: TestContext): Promise<{ socket: Socket; address: string }> {
  const address = `127.${randomInt(1, 255)}.${randomInt(1, 255)}.${randomInt(1, 255)}`;
  return { socket: await openSocket(context, 53, address), address };
}

async function startResolver(
  context: TestContext,
  options: Partial<ResolverOptions>,
): Promise<(query: Buffer) => Promise<Buffer>> {
  const resolver = new Resolver({ mayResolve: () => true, upstreams: [], ...options });
  const port = await resolver.listen();
  context.after(() => resolver.close());
  const client = await openSocket(context);
  return async (query) => {
    client.send(query, port, '127.0.0.1');
    const [answer] = (await once(client, 'message')) as [Buffer];
    return answer;
  };
}

function code(answer: Buffer): number {
  return answer[3]! & 0x0f;
}

const needsRoot = { skip: process.getuid?.() !== 0, timeout: 20_000 };

test('a sandbox that may not resolve is refused at once, and no upstream is asked', needsRoot, async (context) => {
  const upstream = await startUpstream(context);
  upstream.socket.on('message', () => assert.fail('the upstream was asked'));
  const asked: string[] = [];
  const mayResolve = (address: string): boolean => {
    asked.push(address);
    return false;
  };
  const ask = await startResolver(context, { mayResolve, upstreams: [upstream.address] });
  const query = question(0x1234);
  const answer = await ask(query);
  assert.equal(code(answer), 5);
  assert.deepEqual(asked, ['127.0.0.1']);
  // The answer flag, recursion desired as asked, recursion available; the question and its ID as they came.
  assert.deepEqual([answer[2], answer[3]! & 0xf0], [0x81, 0x80]);
  assert.deepEqual([answer.subarray(0, 2), answer.subarray(4)], [query.subarray(0, 2), query.subarray(4)]);
});

test('without a nameserver of the machine every question fails at once', async (context) => {
  const ask = await startResolver(context, {});
  assert.equal(code(await ask(question(1))), 2);
});

test('a packet that is too short for a question is passed over', async (context) => {
  const ask = await startResolver(context, {});
  const first = ask(Buffer.alloc(11));
  await ask(question(7));
  assert.equal((await first).readUInt16BE(0), 7);
});

test(
  'an answer of the upstream comes back as it is; a forged one with another ID does not',
  needsRoot,
  async (context) => {
    const upstream = await startUpstream(context);
    upstream.socket.on('message', (query: Buffer, from: RemoteInfo) => {
      const answer = Buffer.concat([query, Buffer.from('the answer')]);
      const forged = Buffer.from(answer);
      forged.writeUInt16BE(query.readUInt16BE(0) ^ 1);
      for (const packet of [forged, Buffer.alloc(3), answer]) upstream.socket.send(packet, from.port, from.address);
    });
    const ask = await startResolver(context, { upstreams: [upstream.address] });
    const query = question(0x4321);
    assert.deepEqual(await ask(query), Buffer.concat([query, Buffer.from('the answer')]));
  },
);

test('each question leaves from a port of its own', needsRoot, async (context) => {
  const upstream = await startUpstream(context);
  const ports = new Set<number>();
  upstream.socket.on('message', (query: Buffer, from: RemoteInfo) => {
    ports.add(from.port);
    upstream.socket.send(query, from.port, from.address);
  });
  const ask = await startResolver(context, { upstreams: [upstream.address] });
  for (let id = 0; id < 5; id++) await ask(question(id));
  assert(ports.size > 1, `${[...ports]}`);
});

test('an upstream that is not there, or has no way to it, fails the question and nothing else', async (context) => {
  // No nameserver; an address that may not be connected to; one whose interface does not exist.
  for (const upstream of ['127.0.0.153', '255.255.255.255', 'fe80::1%none']) {
    const ask = await startResolver(context, { upstreams: [upstream] });
    assert.equal(code(await ask(question(2))), 2, upstream);
    assert.equal(code(await ask(question(3))), 2, upstream);
  }
});

test('an answer that comes after the resolver was closed harms nobody', needsRoot, async (context) => {
  const upstream = await startUpstream(context);
  const resolver = new Resolver({ mayResolve: () => true, upstreams: [upstream.address] });
  const port = await resolver.listen();
  const client = await openSocket(context);
  client.on('message', () => assert.fail('an answer after the close'));
  client.send(question(9), port, '127.0.0.1');
  const [query, from] = (await once(upstream.socket, 'message')) as [Buffer, RemoteInfo];
  await resolver.close();
  await new Promise((resolve) => upstream.socket.send(query, from.port, from.address, resolve));
  for (let count = 0; count < 20; count++) await turn();
});

test('nameservers of the machine are read in order, and only addresses count', async () => {
  await using root = await mkdtempDisposable(join(tmpdir(), 'sandport-dns-'));
  const path = join(root.path, 'resolv.conf');
  await writeFile(
    path,
    '# nameserver 192.0.2.9\nsearch x\nnameserver 192.0.2.1\n  nameserver\t2001:db8::1 \nnameserver x.test\n',
  );
  assert.deepEqual(await machineNameservers(path), ['192.0.2.1', '2001:db8::1']);
  assert.deepEqual(await machineNameservers(join(root.path, 'none')), []);
});
