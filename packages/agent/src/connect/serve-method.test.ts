import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { connect as dial } from 'node:net';
import { after, before, test } from 'node:test';
import { encodeFrame, STREAM_CONTENT_TYPE, UNARY_CONTENT_TYPE, writeFrameHeader } from '@sandport/protocol/connect';
import { parseProto } from '@sandport/protocol/testing/parse-proto';
import { readStream, type StreamItem } from '../testing/agent-client.ts';
import { startAgent, type TestAgent } from '../testing/agent-process.ts';

let agent: TestAgent;
before(async () => {
  agent = await startAgent();
});
after(() => agent[Symbol.asyncDispose]());

function post(method: string, type: string, body: BodyInit, headers: Record<string, string> = {}): Promise<Response> {
  return fetch(`${agent.url}/process.Process/${method}`, {
    method: 'POST',
    headers: { 'content-type': type, ...headers },
    body,
  });
}

/** The error code of a stream that has to fail. */
async function streamError(method: string, body: Uint8Array, headers: Record<string, string> = {}) {
  const answer = await post(method, STREAM_CONTENT_TYPE, body as BodyInit, headers);
  assert.equal(answer.status, 200, 'a stream reports errors in its end');
  let last: StreamItem = {};
  for await (const item of readStream(answer)) last = item;
  return last.endOfStream?.error?.code;
}

test('a method that does not exist is unimplemented', async () => {
  for (const path of ['process.Process/Nothing', 'process.Process/', 'process.Process/constructor']) {
    const answer = await fetch(`${agent.url}/${path}`, { method: 'POST', body: '{}' });
    assert.deepEqual([answer.status, (await answer.json()).code], [404, 'unimplemented'], path);
  }
});

test('every method of the .proto files is there, and of the kind that they say', async () => {
  for (const file of ['process', 'filesystem']) {
    const path = new URL(`../../../protocol/proto/${file}.proto`, import.meta.url);
    const proto = parseProto(readFileSync(path, 'utf8'));
    for (const [method, types] of Object.entries(proto.methods)) {
      const name = `${proto.package}.${proto.service}/${method}`;
      const answer = await fetch(`${agent.url}/${name}`, { method: 'POST', headers: { 'content-type': 'text/plain' } });
      assert.equal(answer.status, 415, name);
      const isStream = types.some((type) => type.startsWith('stream '));
      assert.equal(answer.headers.get('accept-post')!.includes('connect+'), isStream, name);
    }
  }
});

test("a content type that is not the method's is answered 415 with what is accepted", async () => {
  const unary = 'application/json, application/proto';
  const stream = 'application/connect+json, application/connect+proto';
  for (const [method, type, accepted] of [
    ['List', STREAM_CONTENT_TYPE, unary],
    ['List', 'application/connect+proto', unary],
    ['List', 'application/grpc+proto', unary],
    ['List', 'text/plain', unary],
    ['Start', UNARY_CONTENT_TYPE, stream],
    ['Start', 'application/proto', stream],
    ['Start', 'application/grpc-web+proto', stream],
  ] as const) {
    const answer = await post(method, type, '{}');
    assert.deepEqual([answer.status, answer.headers.get('accept-post')], [415, accepted], `${method} ${type}`);
  }
  assert.equal((await post('List', 'Application/JSON; charset=utf-8', '{}')).status, 200);
});

test('another HTTP method is answered 405', async () => {
  const answer = await fetch(`${agent.url}/process.Process/List`);
  assert.deepEqual([answer.status, answer.headers.get('allow')], [405, 'POST']);
});

test('an empty body is an empty message', async () => {
  assert.equal((await post('List', UNARY_CONTENT_TYPE, '')).status, 200);
});

test('bytes that are no message are invalid', async () => {
  for (const body of ['{', '[', 'null x', '{"process":', '\xff\xfe']) {
    const answer = await post('SendInput', UNARY_CONTENT_TYPE, Buffer.from(body, 'latin1'));
    assert.deepEqual([answer.status, (await answer.json()).code], [400, 'invalid_argument'], body);
  }
  const garbage = new Uint8Array([0, 0, 0, 0, 3, 0x7b, 0xff, 0x7d]);
  assert.equal(await streamError('Start', garbage), 'invalid_argument');
});

test('values of the wrong type are invalid, whatever they are', async () => {
  const process = { cmd: 'true' };
  for (const message of [
    null,
    5,
    'text',
    [],
    {},
    { process: null },
    { process: [] },
    { process: 'true' },
    { process: {} },
    { process: { cmd: '' } },
    { process: { cmd: 5 } },
    { process: { cmd: 'a\0b' } },
    { process: { cmd: { a: 1 } } },
    { process: { cmd: 'true', args: 'x' } },
    { process: { cmd: 'true', args: [1] } },
    { process: { cmd: 'true', args: ['\0'] } },
    { process: { cmd: 'true', envs: ['x'] } },
    { process: { cmd: 'true', envs: { a: 1 } } },
    { process: { cmd: 'true', envs: { 'a=b': 'x' } } },
    { process: { cmd: 'true', envs: { '': 'x' } } },
    { process: { cmd: 'true', envs: { a: '\0' } } },
    { process: { cmd: 'true', cwd: 1 } },
    { process: { cmd: 'true', cwd: '~other' } },
    { process, tag: 1 },
    { process, stdin: 'no' },
    { process, pty: { size: { cols: -1 } } },
    { process, pty: { size: { cols: 1e9 } } },
  ]) {
    assert.equal(await streamError('Start', encodeFrame(0, message)), 'invalid_argument', JSON.stringify(message));
  }
  for (const message of [
    {},
    { process: {} },
    { process: { pid: 'x' } },
    { process: { pid: -1 } },
    { process: { pid: 1.5 } },
    { process: { pid: 2 ** 32 } },
    { process: { tag: {} } },
  ]) {
    const answer = await post('SendSignal', UNARY_CONTENT_TYPE, JSON.stringify(message));
    assert.deepEqual([answer.status, (await answer.json()).code], [400, 'invalid_argument'], JSON.stringify(message));
  }
});

test('numbers as strings, null as absent and unknown fields are read as proto3 JSON has them', async () => {
  const message = { process: { pid: '4194303' }, signal: 9, unknown: { nested: true } };
  assert.equal((await post('SendSignal', UNARY_CONTENT_TYPE, JSON.stringify(message))).status, 404);
  const start = { process: { cmd: 'true', args: null, cwd: null }, tag: null, pty: null, later: 1 };
  assert.equal(await streamError('Start', encodeFrame(0, start)), undefined);
});

test('arguments longer than the kernel takes are invalid', async () => {
  const message = { process: { cmd: 'true', args: ['x'.repeat(4_000_000)] } };
  assert.equal(await streamError('Start', encodeFrame(0, message)), 'invalid_argument');
});

test('a stream request is one frame, no more, no less', async () => {
  const frame = encodeFrame(0, { process: { cmd: 'true' } });
  assert.equal(await streamError('Start', new Uint8Array()), 'invalid_argument');
  assert.equal(await streamError('Start', frame.subarray(0, -1)), 'invalid_argument');
  assert.equal(await streamError('Start', Buffer.concat([frame, frame])), 'invalid_argument');
  assert.equal(await streamError('Start', Buffer.concat([frame, new Uint8Array(2)])), 'invalid_argument');
});

test('a compression that is not known is refused by name', async () => {
  const unary = await post('List', UNARY_CONTENT_TYPE, '{}', { 'content-encoding': 'br' });
  assert.deepEqual(
    [unary.status, (await unary.json()).code, unary.headers.get('accept-encoding')],
    [501, 'unimplemented', 'gzip'],
  );
  const frame = encodeFrame(0, { process: { cmd: 'true' } });
  assert.equal(await streamError('Start', frame, { 'connect-content-encoding': 'br' }), 'unimplemented');
  frame[0] = 1;
  assert.equal(await streamError('Start', frame), 'invalid_argument');
  assert.equal((await post('List', UNARY_CONTENT_TYPE, '{}', { 'content-encoding': 'identity' })).status, 200);
});

test('another version of the protocol is refused', async () => {
  const headers = { 'connect-protocol-version': '2' };
  assert.equal((await post('List', UNARY_CONTENT_TYPE, '{}', headers)).status, 400);
  assert.equal(await streamError('Start', encodeFrame(0, {}), headers), 'invalid_argument');
  assert.equal((await post('List', UNARY_CONTENT_TYPE, '{}', { 'connect-protocol-version': '1' })).status, 200);
});

test('JSON that would take many times its size in memory is refused before it is parsed', async () => {
  for (const [body, code] of [
    [`{"a":${'['.repeat(8_000_000)}${']'.repeat(8_000_000)}}`, 'invalid_argument'],
    ['['.repeat(16_000_000), 'invalid_argument'],
    [`[${'{},'.repeat(5_000_000)}{}]`, 'resource_exhausted'],
  ] as const) {
    const answer = await post('List', UNARY_CONTENT_TYPE, body);
    assert.equal((await answer.json()).code, code);
  }
  // Brackets inside text are text.
  const text = JSON.stringify({ process: { pid: 1 }, input: { pty: `"\\"${'[{,'.repeat(200_000)}` } });
  assert.match((await (await post('SendInput', UNARY_CONTENT_TYPE, text)).json()).code, /not_found|invalid_argument/);
});

test('a message that is announced too long is refused without being read', async () => {
  const header = new Uint8Array(5);
  writeFrameHeader(header, 0, 0xffff_ffff);
  assert.equal(await streamError('Start', header), 'resource_exhausted');
  assert.equal(await streamError('StreamInput', header), 'resource_exhausted');
  const answer = await raw('content-length: 99999999999\r\n\r\n');
  assert.match(answer, /^HTTP\/1\.1 429 /);
  assert.match(answer, /"code":"resource_exhausted"/);
});

test('a body without end is cut at the limit', async () => {
  const before = agent.privateMemory();
  const chunk = `100000\r\n${'x'.repeat(0x100000)}\r\n`;
  const answer = await raw(`transfer-encoding: chunked\r\n\r\n${chunk.repeat(20)}`);
  assert.match(answer, /"code":"resource_exhausted"/);
  assert.ok(agent.privateMemory() - before < 100 * 1024 * 1024);
  assert.equal((await post('List', UNARY_CONTENT_TYPE, '{}')).status, 200);
});

/** Sends the rest of a POST to List and reads until the agent closes the connection, as it must. */
function raw(rest: string): Promise<string> {
  return new Promise((resolve) => {
    let text = '';
    const socket = dial(agent.port, '127.0.0.1');
    socket.on('data', (chunk: Buffer) => {
      text += chunk;
    });
    // The agent does not read what is too much: the rest may be reset.
    socket.on('error', () => {});
    socket.on('close', () => resolve(text));
    socket.write(`POST /process.Process/List HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n${rest}`);
  });
}
