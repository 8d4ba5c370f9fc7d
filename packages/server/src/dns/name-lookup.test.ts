import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import { createSocket, type RemoteInfo } from 'node:dgram';
import { once } from 'node:events';
import { type TestContext, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { readQuestion, Type } from './message.ts';
import { NameLookup } from './name-lookup.ts';

const needsRoot = { skip: process.getuid?.() !== 0, timeout: 20_000 };

/** A nameserver that keeps silent about names below `slow.test`, and what it was asked. */
async function openLookup(context: TestContext): Promise<{
  readonly lookup: NameLookup;
  readonly asked: Set<string>;
  /** Names about which it is silent from now on. */
  readonly silent: Set<string>;
}> {
  const [asked, silent] = [new Set<string>(), new Set<string>()];
  // Nameservers answer on port 53 only, of which every loopback address has one; its owner has to be root.
  const address = `127.${randomInt(1, 255)}.${randomInt(1, 255)}.${randomInt(1, 255)}`;
  const socket = createSocket({ type: 'udp4', recvBufferSize: 4_194_304 });
  socket.on('message', (query: Buffer, from: RemoteInfo) => {
    const { name, end } = readQuestion(query)!;
    asked.add(name);
    if (name.endsWith('.slow.test') || silent.has(name)) return;
    const answer = Buffer.concat([
      query.subarray(0, end),
      Buffer.from([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, name.startsWith('short.') ? 1 : 60, 0, 4, 192, 0, 2, 1]),
    ]);
    answer.writeUInt16BE(0x8180, 2);
    answer.set([0, 1, 0, 1, 0, 0, 0, 0], 4);
    socket.send(answer, from.port, from.address);
  });
  socket.bind(53, address);
  await once(socket, 'listening');
  const lookup = new NameLookup([address]);
  context.after(() => {
    lookup.close();
    socket.close();
  });
  return { lookup, asked, silent };
}

test('askers that ask for very much keep no other from being answered', needsRoot, async (context) => {
  const { lookup } = await openLookup(context);
  for (const greedy of ['198.18.0.1', '198.18.0.2', '198.18.0.3']) {
    for (let count = 0; count < 3000; count++) void lookup.ask(`${count}.${greedy}.slow.test`, Type.a, greedy);
  }
  assert.equal(await lookup.ask('one.slow.test', Type.a, '198.18.0.1'), undefined, 'it has had its share');
  assert.deepEqual(await lookup.addresses('a.test', '198.18.0.4'), ['192.0.2.1']);
  assert.deepEqual(await lookup.addresses('a.test', '198.18.0.1'), ['192.0.2.1'], 'what is known costs nothing');
});

test('an asker that has had its share gets answers that are over, rather than none', needsRoot, async (context) => {
  const { lookup, silent } = await openLookup(context);
  const name = 'short.test';
  assert.deepEqual(await lookup.addresses(name, '198.18.0.1'), ['192.0.2.1']);
  const { until } = (await lookup.ask(name, Type.a, '198.18.0.1'))!;
  silent.add(name);
  while (performance.now() <= until) await delay(50);
  for (let count = 0; count < 3000; count++) void lookup.ask(`${count}.slow.test`, Type.a, '198.18.0.1');
  const begun = performance.now();
  assert.deepEqual(await lookup.addresses(name, '198.18.0.1'), ['192.0.2.1']);
  assert(performance.now() - begun < 900, 'at once, without a question to the nameserver');
});

test("what was answered once is no one's any more", needsRoot, async (context) => {
  const { lookup, asked } = await openLookup(context);
  for (let round = 0; round < 30; round++) {
    const names = Array.from({ length: 100 }, (_, index) => `${index}.${round}.test`);
    const found = await Promise.all(names.map((name) => lookup.addresses(name, '198.18.0.1')));
    assert(found.every((addresses) => addresses.length === 1));
  }
  assert.equal(asked.size, 3000);
});
