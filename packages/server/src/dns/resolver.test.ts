import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import { createSocket, type RemoteInfo, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { mkdtempDisposable, writeFile } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import fc from 'fast-check';
import { readAnswer, readQuestion } from './message.ts';
import { NameLookup } from './name-lookup.ts';
import { machineNameservers, type NamePolicy, Resolver, type ResolverOptions } from './resolver.ts';
import { withLength } from './upstream.ts';

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

/** What any name is allowed to, unless it is told otherwise. */
function policy(over: Partial<NamePolicy> = {}): NamePolicy {
  return {
    mayResolve: () => true,
    resolvesSome: false,
    allowsAddressOfName: () => true,
    remember: () => {},
    deny: () => {},
    ...over,
  };
}

async function startResolver(
  context: TestContext,
  options: { readonly policyOf?: ResolverOptions['policyOf']; readonly upstreams?: readonly string[] },
): Promise<(query: Buffer) => Promise<Buffer>> {
  const { ask } = await startBoth(context, options);
  return ask;
}

async function startBoth(
  context: TestContext,
  { policyOf = () => policy(), upstreams = [] }: Parameters<typeof startResolver>[1],
): Promise<{ readonly ask: (query: Buffer) => Promise<Buffer>; readonly port: number }> {
  const resolver = new Resolver({ policyOf, lookup: new NameLookup(upstreams) });
  const port = await resolver.listen();
  context.after(() => resolver.close());
  const client = await openSocket(context);
  const ask = async (query: Buffer): Promise<Buffer> => {
    client.send(query, port, '127.0.0.1');
    const [answer] = (await once(client, 'message')) as [Buffer];
    return answer;
  };
  return { ask, port };
}

/** An answer with one address, as a server gives it. */
function answerTo(query: Buffer, address: string, ttl = 60): Buffer {
  const end = query.indexOf(0, 12) + 5;
  const answer = Buffer.concat([
    query.subarray(0, end),
    Buffer.from([0xc0, 12, 0, 1, 0, 1, 0, 0, ttl >> 8, ttl & 255, 0, 4, ...address.split('.').map(Number)]),
  ]);
  answer[2] = 0x81;
  answer[3] = 0x80;
  answer.writeUInt16BE(1, 6);
  answer.writeUInt16BE(0, 10);
  return answer;
}

function code(answer: Buffer): number {
  return answer[3]! & 0x0f;
}

const needsRoot = { skip: process.getuid?.() !== 0, timeout: 20_000 };

test('a name that may not be resolved is refused at once, and no upstream is asked', needsRoot, async (context) => {
  const upstream = await startUpstream(context);
  upstream.socket.on('message', () => assert.fail('the upstream was asked'));
  const asked: string[] = [];
  const denied: unknown[] = [];
  const refusing = policy({
    mayResolve: (name) => {
      asked.push(name);
      return false;
    },
    deny: (denial) => denied.push(denial),
  });
  const ask = await startResolver(context, { policyOf: () => refusing, upstreams: [upstream.address] });
  const query = question(0x1234);
  const answer = await ask(query);
  assert.equal(code(answer), 5);
  assert.deepEqual(asked, ['example.com']);
  assert.equal(denied.length, 1);
  // The answer flag, recursion desired as asked, recursion available; the question and its ID as they came.
  assert.deepEqual([answer[2], answer[3]! & 0xf0], [0x81, 0x80]);
  assert.deepEqual([answer.subarray(0, 2), answer.subarray(4)], [query.subarray(0, 2), query.subarray(4)]);
});

test('an asker that is no sandbox is refused', async (context) => {
  const ask = await startResolver(context, { policyOf: () => undefined });
  assert.equal(code(await ask(question(1))), 5);
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

test("an answer comes back under the asker's ID; forged and broken ones do not", needsRoot, async (context) => {
  const upstream = await startUpstream(context);
  upstream.socket.on('message', (query: Buffer, from: RemoteInfo) => {
    const answer = answerTo(query, '192.0.2.1');
    const forged = Buffer.from(answerTo(query, '192.0.2.66'));
    forged.writeUInt16BE(query.readUInt16BE(0) ^ 1);
    const other = answerTo(query, '192.0.2.66');
    other[13] = 0x79;
    const broken = answer.subarray(0, answer.length - 1);
    for (const packet of [forged, other, broken, Buffer.alloc(3), answer]) {
      upstream.socket.send(packet, from.port, from.address);
    }
  });
  const ask = await startResolver(context, { upstreams: [upstream.address] });
  const answer = await ask(question(0x4321));
  assert.equal(answer.readUInt16BE(0), 0x4321);
  assert.deepEqual([...answer.subarray(-4)], [192, 0, 2, 1]);
});

test('an answer is kept for its time, and asked for once by however many wait', needsRoot, async (context) => {
  const upstream = await startUpstream(context);
  let asked = 0;
  upstream.socket.on('message', (query: Buffer, from: RemoteInfo) => {
    asked++;
    upstream.socket.send(answerTo(query, '192.0.2.1'), from.port, from.address);
  });
  const { port } = await startBoth(context, { upstreams: [upstream.address] });
  const clients = await Promise.all(Array.from({ length: 5 }, () => openSocket(context)));
  for (let round = 0; round < 2; round++) {
    const answers = clients.map((client) => once(client, 'message'));
    for (const client of clients) client.send(question(5), port, '127.0.0.1');
    await Promise.all(answers);
  }
  assert.equal(asked, 1);
});

test('a name that leads to where no sandbox may go is refused', needsRoot, async (context) => {
  const upstream = await startUpstream(context);
  upstream.socket.on('message', (query: Buffer, from: RemoteInfo) => {
    upstream.socket.send(answerTo(query, '169.254.169.254'), from.port, from.address);
  });
  const guarding = policy({ allowsAddressOfName: (address) => !address.startsWith('169.254.') });
  const ask = await startResolver(context, { policyOf: () => guarding, upstreams: [upstream.address] });
  const answer = await ask(question(1));
  assert.equal(code(answer), 5);
  assert(!answer.includes(Buffer.from([169, 254, 169, 254])));
});

test('what does not fit into a packet is had over TCP', needsRoot, async (context) => {
  const upstream = await startUpstream(context);
  upstream.socket.on('message', (query: Buffer, from: RemoteInfo) => {
    const answer = answerTo(query, '192.0.2.1');
    answer[2]! |= 0x02;
    upstream.socket.send(answer, from.port, from.address);
  });
  const long = createServer((socket) => {
    socket.on('data', (data: Buffer) => {
      const record = answerTo(data.subarray(2), '192.0.2.1');
      const end = record.length - 16;
      const answer = Buffer.concat([record, ...Array.from({ length: 99 }, () => record.subarray(end))]);
      answer.writeUInt16BE(100, 6);
      socket.end(withLength(answer));
    });
  }).listen(53, upstream.address);
  context.after(() => long.close());
  await once(long, 'listening');
  const { ask, port } = await startBoth(context, { upstreams: [upstream.address] });
  const short = await ask(question(3));
  assert.equal(short[2]! & 0x02, 2, 'truncated');
  const client = connect(port, '127.0.0.1');
  context.after(() => client.destroy());
  client.write(withLength(question(3)));
  const chunks: Buffer[] = [];
  client.on('data', (chunk: Buffer) => chunks.push(chunk));
  while (Buffer.concat(chunks).length < 1600) await once(client, 'data');
  const answer = Buffer.concat(chunks);
  assert.equal(answer.length, 2 + answer.readUInt16BE(0));
  assert.equal(answer.readUInt16BE(2 + 6), 100);
});

test('questions and answers of any bytes are read or refused, and never break the reader', () => {
  const bytes = fc.uint8Array({ maxLength: 200 }).map((array) => Buffer.from(array));
  const begun = bytes.map((rest) => Buffer.concat([question(1), rest]));
  fc.assert(
    fc.property(fc.oneof(bytes, begun), bytes, fc.nat(300), (message, noise, at) => {
      const spoiled = Buffer.concat([message.subarray(0, at), noise, message.subarray(at)]);
      for (const one of [message, spoiled]) {
        const read = readQuestion(one);
        if (read !== undefined) assert(read.end <= one.length && read.name.length < 256);
        const reply = Buffer.from(one);
        if (reply.length > 2) reply[2]! |= 0x80;
        readAnswer(reply, question(1));
        readAnswer(Buffer.concat([answerTo(question(1), '192.0.2.1').subarray(0, at % 45), noise]), question(1));
      }
    }),
    { numRuns: 3000 },
  );
});

test('each question leaves from a port of its own', needsRoot, async (context) => {
  const upstream = await startUpstream(context);
  const ports = new Set<number>();
  upstream.socket.on('message', (query: Buffer, from: RemoteInfo) => {
    ports.add(from.port);
    // A lifetime of none: nothing is kept.
    const failed = answerTo(query, '192.0.2.1');
    failed[3] = 0x82;
    upstream.socket.send(failed, from.port, from.address);
  });
  const ask = await startResolver(context, { upstreams: [upstream.address] });
  for (let id = 0; id < 5; id++) await ask(question(id));
  assert(ports.size > 1, `${[...ports]}`);
});

test('a question that is lost on its way is asked again', needsRoot, async (context) => {
  const upstream = await startUpstream(context);
  let asked = 0;
  upstream.socket.on('message', (query: Buffer, from: RemoteInfo) => {
    if (++asked > 1) upstream.socket.send(answerTo(query, '192.0.2.1'), from.port, from.address);
  });
  const ask = await startResolver(context, { upstreams: [upstream.address] });
  assert.equal(code(await ask(question(4))), 0);
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
  const resolver = new Resolver({ policyOf: () => policy(), lookup: new NameLookup([upstream.address]) });
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
