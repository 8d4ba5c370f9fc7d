import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { encodeFrame } from '@sandport/protocol/connect';
import { collect, readStream, type StreamItem, startedPid } from '../testing/agent-client.ts';
import { startAgent, type TestAgent } from '../testing/agent-process.ts';

let agent: TestAgent;
before(async () => {
  agent = await startAgent();
});
after(() => agent[Symbol.asyncDispose]());

const stdin = (text: string) => ({ stdin: Buffer.from(text).toString('base64') });
const cat = () => agent.client.start({ process: { cmd: 'cat' } });

test('SendInput writes to stdin and CloseStdin ends it', async () => {
  const stream = cat();
  const process = { pid: await startedPid(stream) };
  assert.deepEqual(await agent.client.unary('SendInput', { process, input: stdin('hellö ') }), {
    status: 200,
    body: {},
  });
  await agent.client.unary('SendInput', { process, input: stdin('there') });
  assert.equal((await agent.client.unary('CloseStdin', { process })).status, 200);
  const result = await collect(stream);
  assert.equal(result.stdout, 'hellö there');
  assert.deepEqual(result.end, { exited: true, status: 'exit status 0' });
});

test('several MiB of input arrive whole', async () => {
  const stream = agent.client.start({ process: { cmd: 'wc', args: ['-c'] } });
  const process = { pid: await startedPid(stream) };
  const input = { stdin: Buffer.alloc(8_000_000, 'x').toString('base64') };
  assert.equal((await agent.client.unary('SendInput', { process, input })).status, 200);
  await agent.client.unary('CloseStdin', { process });
  assert.equal((await collect(stream)).stdout, '8000000\n');
});

test('input that the process does not take ends with the deadline of the call', async () => {
  const stream = agent.client.start({ process: { cmd: 'sleep', args: ['1000'] } });
  const process = { pid: await startedPid(stream) };
  const input = { stdin: Buffer.alloc(1_000_000).toString('base64') };
  const answer = await agent.client.unary(
    'SendInput',
    { process, input },
    { headers: { 'connect-timeout-ms': '100' } },
  );
  assert.deepEqual([answer.status, answer.body.code], [504, 'deadline_exceeded']);
  await agent.client.unary('SendSignal', { process, signal: 'SIGNAL_SIGKILL' });
  await collect(stream);
});

test('what piles up unread is bounded', async () => {
  const stream = agent.client.start({ process: { cmd: 'sleep', args: ['1000'] } });
  const process = { pid: await startedPid(stream) };
  const input = { stdin: Buffer.alloc(10_000_000).toString('base64') };
  const headers = { 'connect-timeout-ms': '500' };
  const answers = await Promise.all(
    Array.from({ length: 6 }, () => agent.client.unary('SendInput', { process, input }, { headers })),
  );
  assert.ok(answers.some(({ body }) => body.code === 'resource_exhausted'));
  await agent.client.unary('SendSignal', { process, signal: 'SIGNAL_SIGKILL' });
  await collect(stream);
});

test('input for a process without stdin, of the wrong kind, after its close or for nobody is refused', async () => {
  const closed = agent.client.start({ process: { cmd: 'sleep', args: ['1000'] }, stdin: false });
  const without = { pid: await startedPid(closed) };
  const refused = async (method: string, message: object) => (await agent.client.unary(method, message)).body.code;
  assert.equal(await refused('SendInput', { process: without, input: stdin('x') }), 'failed_precondition');
  assert.equal(await refused('CloseStdin', { process: without }), 'failed_precondition');
  await agent.client.unary('SendSignal', { process: without, signal: 'SIGNAL_SIGKILL' });
  await collect(closed);
  assert.equal(await refused('SendInput', { process: without, input: stdin('x') }), 'not_found');
  const open = agent.client.start({ process: { cmd: '/bin/sh', args: ['-c', 'cat; sleep 1000'] } });
  const process = { pid: await startedPid(open) };
  assert.equal(await refused('SendInput', { process, input: { pty: btoa('x') } }), 'failed_precondition');
  assert.equal(await refused('CloseStdin', { process }), undefined);
  assert.equal(await refused('SendInput', { process, input: stdin('x') }), 'failed_precondition');
  await agent.client.unary('SendSignal', { process, signal: 'SIGNAL_SIGKILL' });
  await collect(open);
});

test('StreamInput carries many pieces over one request', async () => {
  const stream = agent.client.start({ process: { cmd: 'cat' }, tag: 'cat' });
  const pid = await startedPid(stream);
  const messages = [
    { start: { process: { tag: 'cat' } } },
    { data: { input: stdin('a') } },
    { keepalive: {} },
    { data: { input: stdin('b') } },
  ];
  const items = await streamInput(messages);
  assert.deepEqual(items, [{}, { endOfStream: {} }]);
  await agent.client.unary('CloseStdin', { process: { pid } });
  assert.equal((await collect(stream)).stdout, 'ab');
});

test('StreamInput without a start, or for nobody, ends with an error', async () => {
  const code = async (messages: readonly object[]) => (await streamInput(messages)).at(-1)?.endOfStream?.error?.code;
  assert.equal(await code([{ data: { input: stdin('a') } }]), 'invalid_argument');
  assert.equal(await code([]), 'invalid_argument');
  assert.equal(await code([{ start: { process: { pid: 4194303 } } }]), 'not_found');
});

async function streamInput(messages: readonly object[]) {
  const answer = await fetch(`${agent.url}/process.Process/StreamInput`, {
    method: 'POST',
    headers: { 'content-type': 'application/connect+json' },
    body: Buffer.concat(messages.map((message) => encodeFrame(0, message))),
  });
  const items: StreamItem[] = [];
  for await (const item of readStream(answer)) items.push(item);
  return items;
}
