// Whatever is sent to an agent, it gives a clear error, goes on running commands, and returns to its size.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import type { Socket } from 'node:net';
import { after, afterEach, before, test } from 'node:test';
import { connectCodes, encodeFrame, writeFrameHeader } from '@sandport/protocol/connect';
import fc from 'fast-check';
import { readStream, type StreamItem } from './testing/agent-client.ts';
import { startAgent, type TestAgent } from './testing/agent-process.ts';
import { dial, sendRaw } from './testing/raw-http.ts';
import { until } from './testing/until.ts';

const TOKEN = 'access-token-of-the-test';
const withToken = { headers: { 'x-access-token': TOKEN } };
const MIB = 1024 * 1024;
/** What of its memory the agent may keep for a while: V8 gives garbage back when it sees fit. */
const SLACK = 160 * MIB;
/** Methods that can be called with anything at all: they neither run programs nor change files. */
const UNARY = [
  'process.Process/List',
  'process.Process/SendInput',
  'process.Process/CloseStdin',
  'process.Process/SendSignal',
  'process.Process/Update',
  'filesystem.Filesystem/Stat',
  'filesystem.Filesystem/GetWatcherEvents',
  'filesystem.Filesystem/RemoveWatcher',
];
const STREAMS = ['process.Process/Connect', 'process.Process/StreamInput'];

let agent: TestAgent;
let memory = 0;
let descriptors = 0;

before(async () => {
  agent = await startAgent({ accessToken: TOKEN, defaultUser: 'user' });
  // Everything that is loaded at its first use is loaded.
  await runsCommands();
  await post('process.Process/List', 'application/proto', new Uint8Array(), { 'content-encoding': 'gzip' });
  await fetch(`${agent.url}/files?path=none`, withToken);
  memory = agent.privateMemory();
  descriptors = openDescriptors();
});
after(() => agent[Symbol.asyncDispose]());

afterEach(async () => {
  await runsCommands();
  await until('the descriptors are closed', () => openDescriptors() <= descriptors + 10);
  await until('the memory is given back', () => agent.privateMemory() < memory + SLACK);
});

async function runsCommands(): Promise<void> {
  const { stdout, end } = await agent.client.shell('echo fine', withToken);
  assert.deepEqual([stdout, end?.exitCode], ['fine\n', undefined]);
}

function openDescriptors(): number {
  return readdirSync(`/proc/${agent.pid}/fd`).length;
}

function post(method: string, type: string, body: Uint8Array | string, headers: Record<string, string> = {}) {
  return fetch(`${agent.url}/${method}`, {
    method: 'POST',
    body: body as BodyInit,
    headers: { 'content-type': type, 'x-access-token': TOKEN, ...headers },
  });
}

/** A unary answer is a message or an error of the protocol, with the status that belongs to its code. */
async function answersOrRefuses(answer: Response): Promise<void> {
  const bytes = Buffer.from(await answer.arrayBuffer());
  if (answer.status === 200) return;
  const { code, message } = JSON.parse(bytes.toString()) as { code: keyof typeof connectCodes; message: string };
  assert.equal(answer.status, connectCodes[code], message);
  assert.notEqual(code, 'internal', message);
  assert.ok(message.length < 2000);
}

/** A stream's answer ends with an end-of-stream frame, whose error is returned. */
async function endOf(answer: Response): Promise<string | undefined> {
  assert.equal(answer.status, 200);
  let last: StreamItem = {};
  for await (const item of readStream(answer)) last = item;
  assert.ok(last.endOfStream, 'the stream has an end');
  assert.notEqual(last.endOfStream.error?.code, 'internal', last.endOfStream.error?.message);
  return last.endOfStream.error?.code;
}

test('JSON of any shape', async () => {
  const names = [
    'process',
    'pid',
    'tag',
    'input',
    'stdin',
    'pty',
    'signal',
    'size',
    'cols',
    'path',
    'depth',
    'start',
    'data',
  ];
  const { value } = fc.letrec((tie) => ({
    value: fc.oneof(
      { depthSize: 'small' },
      fc.jsonValue({ maxDepth: 2 }),
      fc.dictionary(fc.oneof(fc.constantFrom(...names), fc.string()), tie('value'), { maxKeys: 4 }),
    ),
  }));
  await fc.assert(
    fc.asyncProperty(fc.constantFrom(...UNARY), value, async (method, message) => {
      await answersOrRefuses(await post(method, 'application/json', JSON.stringify(message)));
    }),
    { numRuns: 300, seed: 3 },
  );
  await fc.assert(
    fc.asyncProperty(fc.constantFrom(...STREAMS), value, async (method, message) => {
      await endOf(await post(method, 'application/connect+json', encodeFrame(0, message)));
    }),
    { numRuns: 150, seed: 3 },
  );
});

test('protobuf of any bytes', async () => {
  await fc.assert(
    fc.asyncProperty(fc.constantFrom(...UNARY), fc.uint8Array({ maxLength: 60 }), async (method, bytes) => {
      await answersOrRefuses(await post(method, 'application/proto', bytes));
    }),
    { numRuns: 300, seed: 4 },
  );
  await fc.assert(
    fc.asyncProperty(fc.constantFrom(...STREAMS), fc.uint8Array({ maxLength: 60 }), async (method, bytes) => {
      await endOf(await post(method, 'application/connect+proto', frame(0, bytes)));
    }),
    { numRuns: 150, seed: 4 },
  );
});

test('frames of any flags, lengths and cuts', async () => {
  const message = Buffer.from('{"process":{"pid":1}}');
  for (const method of STREAMS) {
    for (let flags = 0; flags < 256; flags += 5) {
      const code = await endOf(await post(method, 'application/connect+json', frame(flags, message)));
      assert.ok(code !== undefined, `${method} with flags ${flags}`);
    }
    const whole = frame(0, message);
    for (let length = 0; length < whole.length; length++) {
      const code = await endOf(await post(method, 'application/connect+json', whole.subarray(0, length)));
      assert.equal(code, 'invalid_argument', `${method} cut at ${length}`);
    }
    const announced = frame(0, message);
    announced.writeUInt32BE(0xffff_ffff, 1);
    assert.equal(await endOf(await post(method, 'application/connect+json', announced)), 'resource_exhausted');
  }
});

test('bodies beyond the limit, announced or not, in every encoding', async () => {
  const oversized = Buffer.alloc(17 * MIB, 0x20);
  for (const type of ['application/json', 'application/proto']) {
    assert.equal((await post('process.Process/List', type, oversized)).status, 429, type);
  }
  for (const type of ['application/connect+json', 'application/connect+proto']) {
    const answer = await post('process.Process/Connect', type, frame(0, oversized));
    assert.equal(await endOf(answer), 'resource_exhausted', type);
  }
  const chunked = `POST /process.Process/List HTTP/1.1\r\nhost: x\r\nx-access-token: ${TOKEN}\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n`;
  const chunk = `100000\r\n${' '.repeat(MIB)}\r\n`;
  const { status } = await sendRaw(agent.port, chunked + chunk.repeat(18));
  assert.equal(status, 429);
});

test('a stream of messages that goes wrong half-way is told so before it has ended', async () => {
  const head = `POST /process.Process/StreamInput HTTP/1.1\r\nhost: x\r\nx-access-token: ${TOKEN}\r\ncontent-type: application/connect+json\r\ntransfer-encoding: chunked\r\n\r\n`;
  const wrong = frame(0, Buffer.from('{"keepalive":7}'));
  const chunk = Buffer.concat([Buffer.from(`${wrong.length.toString(16)}\r\n`), wrong, Buffer.from('\r\n')]);
  const answer = await sendRaw(agent.port, Buffer.concat([Buffer.from(head), chunk]));
  assert.equal(answer.status, 200);
  assert.match(answer.body, /"code":"invalid_argument"/);
});

test('messages that are small on the wire and large in memory', async () => {
  for (const body of [`${'['.repeat(8 * MIB)}${']'.repeat(8 * MIB - 1)}`, `[${'{},'.repeat(5 * MIB)}0]`]) {
    await answersOrRefuses(await post('process.Process/List', 'application/json', body));
  }
  const start = frame(0, Buffer.from(`{"process":{"cmd":"x","args":[${'"",'.repeat(3 * MIB)}""]}}`));
  assert.equal(
    await endOf(await post('process.Process/Start', 'application/connect+json', start)),
    'resource_exhausted',
  );
});

test('paths and methods that mean something to other servers', async () => {
  const body = '{"process":{"pid":4194303},"signal":9}';
  const target = '/process.Process/SendSignal';
  for (const [line, status] of [
    [`POST ${target}`, 404],
    [`POST /${target}`, 404],
    [`POST ${target}/`, 404],
    [`POST ${target}/../SendSignal`, 404],
    ['POST /process.Process/./SendSignal', 404],
    ['POST /process%2eProcess/SendSignal', 404],
    ['POST /process.Process/%53endSignal', 404],
    ['POST /process.process/sendsignal', 404],
    ['POST /PROCESS.PROCESS/SENDSIGNAL', 404],
    ['POST /process.Process/SendSignal%00', 404],
    ['POST /process.Process/toString', 404],
    ['POST /process.Process/__proto__', 404],
    ['POST /__proto__/x', 404],
    ['POST /process.Process', 404],
    ['POST http://other.example/process.Process/SendSignal', 404],
    ['POST *', 404],
    [`GET ${target}`, 405],
    [`HEAD ${target}`, 405],
    [`PUT ${target}`, 405],
    [`DELETE ${target}`, 405],
    [`PROPFIND ${target}`, 405],
    [`OPTIONS ${target}`, 405],
    ['CONNECT 127.0.0.1:22', 0],
    [`post ${target}`, 400],
    ['POST process.Process/SendSignal', 400],
    [`POST ${target}\x01`, 400],
    [`BREW ${target}`, 400],
  ] as const) {
    const head = `${line} HTTP/1.1\r\nhost: x\r\nx-access-token: ${TOKEN}\r\nconnection: close\r\n`;
    const answer = await sendRaw(
      agent.port,
      `${head}content-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
    );
    assert.equal(answer.status, status, line);
  }
});

test('HTTP that is malformed', async () => {
  const start = 'GET /metrics HTTP/1.1\r\nhost: x\r\n';
  for (const [bytes, status] of [
    ['\r\n\r\nnothing\r\n\r\n', 400],
    ['\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03', 400],
    ['PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 400],
    [`${start}content-length: 1\r\ncontent-length: 2\r\n\r\n`, 400],
    [`${start}content-length: -1\r\n\r\n`, 400],
    [`${start}content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n`, 400],
    [`${start}transfer-encoding: chunked\r\n\r\nZZ\r\n`, 401],
    [`${start}a b: c\r\n\r\n`, 400],
    [`${start}a: b\r\n folded\r\n\r\n`, 400],
    [`${start}a: \x00\r\n\r\n`, 400],
    ['GET /metrics HTTP/1.1\r\n\r\n', 400],
    [`${start}x: ${'x'.repeat(20_000)}\r\n\r\n`, 431],
    [`GET /${'x'.repeat(20_000)} HTTP/1.1\r\nhost: x\r\n\r\n`, 431],
  ] as const) {
    const answer = await sendRaw(agent.port, Buffer.from(bytes, 'latin1'));
    assert.equal(answer.status, status, JSON.stringify(bytes.slice(0, 120)));
  }
});

test('an upgrade to what the agent does not speak is not taken up', async () => {
  for (const upgrade of ['h2c', 'websocket', 'sandport-tunnel']) {
    const head = `GET /envs HTTP/1.1\r\nhost: x\r\nx-access-token: ${TOKEN}\r\nconnection: upgrade, close\r\n`;
    const { status } = await sendRaw(agent.port, `${head}upgrade: ${upgrade}\r\n\r\n`);
    assert.equal(status, 200, upgrade);
  }
});

test('tokens that are missing, wrong, repeated or elsewhere', async () => {
  for (const lines of [
    '',
    'x-access-token:\r\n',
    'x-access-token: wrong\r\n',
    `x-access-token: ${TOKEN.slice(0, -1)}\r\n`,
    `x-access-token: ${TOKEN}x\r\n`,
    `x-access-token: ${TOKEN.toUpperCase()}\r\n`,
    `x-access-token: ${TOKEN}\r\nx-access-token: ${TOKEN}\r\n`,
    `x-access-token: wrong\r\nx-access-token: ${TOKEN}\r\n`,
    `x-access-token: ${TOKEN}, wrong\r\n`,
    `x_access_token: ${TOKEN}\r\n`,
    `authorization: Bearer ${TOKEN}\r\n`,
    `authorization: Basic ${btoa(`user:${TOKEN}`)}\r\n`,
    `cookie: x-access-token=${TOKEN}\r\n`,
  ]) {
    for (const path of ['/envs', '/metrics', '/process.Process/List', `/envs?x-access-token=${TOKEN}`]) {
      const answer = await sendRaw(agent.port, `GET ${path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n${lines}\r\n`);
      assert.equal(answer.status, 401, `${path} with ${lines}`);
      assert.ok(!answer.body.includes(TOKEN));
    }
  }
});

test('users that do not exist, or whose name would be more than a name', async () => {
  for (const name of [
    'nobody-here',
    'user:x',
    'root\n',
    '../root',
    '0',
    'user\0',
    'x'.repeat(5000),
    'ünï',
    '*',
    '-1',
  ]) {
    const headers = { authorization: `Basic ${Buffer.from(`${name}\0`.slice(0, -1)).toString('base64')}` };
    // What stands after a colon is the password, and counts for nothing.
    const expected = name === 'user:x' ? 200 : 401;
    const stat = await post('filesystem.Filesystem/Stat', 'application/json', '{"path":"/"}', headers);
    assert.equal(stat.status, expected, name.slice(0, 20));
    if (name === 'user:x') continue;
    assert.equal((await stat.json()).code, 'unauthenticated');
    const start = encodeFrame(0, { process: { cmd: 'true' } });
    const code = await endOf(await post('process.Process/Start', 'application/connect+json', start, headers));
    assert.equal(code, 'unauthenticated', name.slice(0, 20));
    const query = new URLSearchParams({ path: '/etc/passwd', username: name });
    assert.equal((await fetch(`${agent.url}/files?${query}`, withToken)).status, 401, name.slice(0, 20));
  }
});

test('hundreds of clients that send a head or a body in drops, and stop half-way', async () => {
  const head = `POST /process.Process/List HTTP/1.1\r\nhost: x\r\nx-access-token: ${TOKEN}\r\ncontent-type: application/json\r\n`;
  const beginnings = [
    head.slice(0, 60),
    `${head}content-length: 1000\r\n\r\n{"a`,
    `${head}transfer-encoding: chunked\r\n\r\n5\r\n{"`,
  ];
  const sockets = beginnings.flatMap((bytes) =>
    Array.from({ length: 150 }, () => ({ socket: dial(agent.port), bytes })),
  );
  try {
    for (const { socket, bytes } of sockets) {
      if (socket.connecting) await once(socket, 'connect');
      socket.write(bytes.slice(0, 20));
    }
    for (const { socket, bytes } of sockets) socket.write(bytes.slice(20));
    await runsCommands();
    assert.ok(agent.privateMemory() < memory + SLACK);
  } finally {
    for (const { socket } of sockets) socket.destroy();
  }
});

test('clients that never read what they asked for', async () => {
  const message = encodeFrame(0, { process: { cmd: 'yes' }, stdin: false });
  const head = `POST /process.Process/Start HTTP/1.1\r\nhost: x\r\nx-access-token: ${TOKEN}\r\ncontent-type: application/connect+json\r\ncontent-length: ${message.length}\r\n\r\n`;
  const sockets = Array.from({ length: 8 }, () => dial(agent.port).pause());
  for (const socket of sockets) socket.write(Buffer.concat([Buffer.from(head), message]));
  const running = async (): Promise<number> => {
    const { body } = await agent.client.unary('List', {}, withToken);
    return body.processes?.length ?? 0;
  };
  await until('the commands run', async () => (await running()) === sockets.length);
  // Requests without end on one connection, whose answers are not read either.
  const pipelined = dial(agent.port).pause();
  const request = `GET /envs HTTP/1.1\r\nhost: x\r\nx-access-token: ${TOKEN}\r\n\r\n`;
  pipelined.write(request.repeat(20_000));
  await runsCommands();
  assert.ok(agent.privateMemory() < memory + SLACK, `${agent.privateMemory() / MIB} MiB`);
  for (const socket of [...sockets, pipelined]) socket.destroy();
  const { body } = await agent.client.unary('List', {}, withToken);
  for (const { pid } of body.processes) {
    await agent.client.unary('SendSignal', { process: { pid }, signal: 'SIGNAL_SIGKILL' }, withToken);
  }
  await until('the commands have ended', async () => (await running()) === 0);
});

test('thousands of connections', async () => {
  const sockets: Socket[] = [];
  try {
    for (let batch = 0; batch < 20; batch++) {
      const opened = Array.from({ length: 150 }, () => dial(agent.port));
      sockets.push(...opened);
      await Promise.all(opened.map((socket) => once(socket, 'connect')));
    }
    await until('the agent has them all', () => openDescriptors() > descriptors + 2900);
    await runsCommands();
  } finally {
    for (const socket of sockets) socket.destroy();
  }
});

function frame(flags: number, payload: Uint8Array): Buffer {
  const bytes = Buffer.alloc(5 + payload.length);
  writeFrameHeader(bytes, flags, payload.length);
  bytes.set(payload, 5);
  return bytes;
}
