import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { type IncomingMessage, request } from 'node:http';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { gunzipSync, gzipSync } from 'node:zlib';
import { FLAG_COMPRESSED, FLAG_END_STREAM, FrameReader, writeFrameHeader } from '@sandport/protocol/connect';
import { startAgent, type TestAgent } from '../testing/agent-process.ts';

let agent: TestAgent;
before(async () => {
  agent = await startAgent();
  for (let at = 0; at < 100; at++) writeFileSync(join(agent.home, `file-${at}`), '');
});
after(() => agent[Symbol.asyncDispose]());

const list = { path: '/filesystem.Filesystem/ListDir', 'content-type': 'application/json' };
const start = { path: '/process.Process/Start', 'content-type': 'application/connect+json' };

/** Not fetch, which compresses and inflates behind its caller's back. */
async function post({ path, ...headers }: { path: string } & Record<string, string>, body: Uint8Array) {
  const sent = request(agent.url + path, { method: 'POST', headers });
  sent.end(body);
  const answer = await new Promise<IncomingMessage>((resolve, reject) => {
    sent.once('response', resolve).once('error', reject);
  });
  const chunks: Buffer[] = [];
  for await (const chunk of answer) chunks.push(chunk as Buffer);
  return { status: answer.statusCode, headers: answer.headers, body: Buffer.concat(chunks) };
}

function json(message: object): Buffer {
  return Buffer.from(JSON.stringify(message));
}

function frame(flags: number, payload: Uint8Array): Buffer {
  const bytes = Buffer.alloc(5 + payload.length);
  writeFrameHeader(bytes, flags, payload.length);
  bytes.set(payload, 5);
  return bytes;
}

test('a large answer is compressed for those who accept it, a small one for nobody', async () => {
  const message = json({ path: agent.home });
  for (const [accepted, encoding] of [
    ['gzip', 'gzip'],
    ['br, GZIP;q=0.5', 'gzip'],
    ['gzip;q=0', undefined],
    ['br', undefined],
    ['', undefined],
  ] as const) {
    const answer = await post({ ...list, 'accept-encoding': accepted }, message);
    assert.deepEqual([answer.status, answer.headers['content-encoding']], [200, encoding], accepted);
    const plain = encoding === undefined ? answer.body : gunzipSync(answer.body);
    assert.equal(JSON.parse(plain.toString()).entries.length, 100);
  }
  const stat = { ...list, path: '/filesystem.Filesystem/Stat', 'accept-encoding': 'gzip' };
  const small = await post(stat, json({ path: agent.home }));
  assert.deepEqual([small.status, small.headers['content-encoding']], [200, undefined]);
});

test('a compressed request is read, also an empty one', async () => {
  const headers = { ...list, 'content-encoding': 'gzip' };
  assert.equal((await post(headers, gzipSync(json({ path: agent.root })))).status, 200);
  assert.equal((await post({ ...headers, path: '/process.Process/List' }, new Uint8Array())).status, 200);
});

test('a stream is compressed in both directions, message by message', async () => {
  const message = json({ process: { cmd: '/bin/sh', args: ['-c', 'head -c 100000 /dev/zero'] }, stdin: false });
  const headers = { ...start, 'connect-content-encoding': 'gzip', 'connect-accept-encoding': 'gzip' };
  const answer = await post(headers, frame(FLAG_COMPRESSED, gzipSync(message)));
  assert.deepEqual([answer.status, answer.headers['connect-content-encoding']], [200, 'gzip']);
  let length = 0;
  const flags = new Set<number>();
  for (const { flags: flag, payload } of new FrameReader(1024 * 1024).push(answer.body)) {
    flags.add(flag);
    const plain = flag === FLAG_COMPRESSED ? gunzipSync(payload) : payload;
    const { event } = JSON.parse(Buffer.from(plain).toString());
    length += Buffer.from(event?.data?.stdout ?? '', 'base64').length;
  }
  assert.equal(length, 100_000);
  assert.deepEqual([...flags].sort(), [0, FLAG_COMPRESSED, FLAG_END_STREAM]);
  assert.ok(answer.body.length < 10_000);
});

test('what is not gzip, or is cut short, is invalid', async () => {
  const whole = gzipSync(json({ path: agent.root }));
  for (const body of [json({ path: '/' }), whole.subarray(0, -9), Buffer.concat([whole, whole])]) {
    const answer = await post({ ...list, 'content-encoding': 'gzip' }, body);
    assert.equal(answer.status, 400);
    assert.equal(JSON.parse(answer.body.toString()).code, 'invalid_argument');
  }
});

test('a message that inflates beyond the limit is refused without being held', async () => {
  const before = agent.privateMemory();
  const bomb = gzipSync(Buffer.alloc(1024 * 1024 * 1024), { level: 1 });
  assert.ok(bomb.length < 16 * 1024 * 1024);
  const unary = await post({ ...list, 'content-encoding': 'gzip' }, bomb);
  assert.equal(unary.status, 429);
  assert.equal(JSON.parse(unary.body.toString()).code, 'resource_exhausted');
  const stream = await post({ ...start, 'connect-content-encoding': 'gzip' }, frame(FLAG_COMPRESSED, bomb));
  assert.match(stream.body.toString(), /resource_exhausted/);
  assert.ok(agent.privateMemory() - before < 150 * 1024 * 1024);
});
