import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { type IncomingMessage, request } from 'node:http';
import { after, before, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { encodeFrame, FLAG_END_STREAM, FrameReader } from '@sandport/protocol/connect';
import { startAgent, type TestAgent } from '../testing/agent-process.ts';
import { until } from '../testing/until.ts';

const MIB = 1024 * 1024;
let agent: TestAgent;
before(async () => {
  agent = await startAgent();
});
after(() => agent[Symbol.asyncDispose]());

/** The answer of a stream, not read yet. */
function open(method: string, message: object): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const call = request(`${agent.url}/process.Process/${method}`, {
      method: 'POST',
      agent: false,
      headers: { 'content-type': 'application/connect+json' },
    });
    call.on('response', resolve).on('error', reject).end(encodeFrame(0, message));
  });
}

/** Bytes the process has written so far. */
function written(pid: number): number {
  return Number(/^wchar: ([0-9]+)/m.exec(readFileSync(`/proc/${pid}/io`, 'utf8'))![1]);
}

async function standsStill(pid: number): Promise<number> {
  return until('the command is held back', async () => {
    const before = written(pid);
    await delay(300);
    return before > 0 && written(pid) === before && before;
  });
}

test('a client that does not read holds its command back, and the agent keeps none of the output', async () => {
  const before = agent.privateMemory();
  const answer = await open('Start', {
    process: { cmd: 'head', args: ['-c', String(384 * MIB), '/dev/zero'] },
    tag: 'big',
  });
  const { body } = await agent.client.unary('List', {});
  const { pid } = body.processes[0];
  const held = await standsStill(pid);
  assert.ok(held < 64 * MIB, `${held} bytes written before it was held back`);
  assert.ok(agent.privateMemory() - before < 40 * MIB, `${(agent.privateMemory() - before) / MIB} MiB more`);

  let most = 0;
  let length = 0;
  for await (const chunk of answer) {
    length += chunk.length;
    if (length % 50 === 0) await delay(1);
    most = Math.max(most, length % 7 === 0 ? agent.privateMemory() : 0);
  }
  assert.ok(length > (384 * MIB * 4) / 3, 'all of it has arrived');
  assert.ok(most - before < 80 * MIB, `${(most - before) / MIB} MiB more while it flowed`);
});

test('of several clients the slowest one decides, until it goes away', async () => {
  const slow = await open('Start', {
    process: { cmd: 'head', args: ['-c', String(256 * MIB), '/dev/zero'] },
    tag: 'two',
  });
  const { body } = await agent.client.unary('List', {});
  const { pid } = body.processes[0];
  const fast = await open('Connect', { process: { pid } });
  let length = 0;
  let ended = false;
  fast.on('data', (chunk: Buffer) => {
    length += chunk.length;
  });
  fast.once('end', () => {
    ended = true;
  });
  const held = await standsStill(pid);
  assert.ok(held < 64 * MIB);
  assert.equal(ended, false);
  slow.destroy();
  await until('the other has the rest', () => ended);
  assert.ok(length > ((256 * MIB - held) * 4) / 3, `${length} bytes, in base64`);
});

test('what a killed process wrote before reaches a slow client', async () => {
  // The sleep holds the output open, so that the end does not come from its closing.
  const args = ['-c', 'sleep 1000 & echo $! >&2; exec head -c 300000000 /dev/zero'];
  const answer = await open('Start', { process: { cmd: '/bin/sh', args }, tag: 'killed' });
  const { body } = await agent.client.unary('List', {});
  const { pid } = body.processes[0];
  const held = await standsStill(pid);
  assert.equal((await agent.client.unary('SendSignal', { process: { pid }, signal: 'SIGNAL_SIGKILL' })).status, 200);
  const reader = new FrameReader(MIB);
  let delivered = 0;
  let sleeper = 0;
  let last: { event?: { end?: object; data?: { stdout?: string; stderr?: string } } } = {};
  for await (const chunk of answer) {
    for (const { flags, payload } of reader.push(chunk)) {
      if (flags === FLAG_END_STREAM) continue;
      last = JSON.parse(Buffer.from(payload).toString());
      const line = Buffer.from(last.event?.data?.stderr ?? '', 'base64');
      delivered += Buffer.from(last.event?.data?.stdout ?? '', 'base64').length + line.length;
      sleeper ||= Number(line);
    }
  }
  process.kill(sleeper, 'SIGKILL');
  assert.ok(last.event?.end);
  // The shell itself has written a few bytes elsewhere; the pieces that could be lost are thousands long.
  assert.ok(delivered > held - 64, `${delivered} of ${held}`);
});

test('a client that does not read holds back what runs in its terminal, and nothing else', async () => {
  const before = agent.privateMemory();
  const args = ['-c', 'stty raw; exec head -c 60000000 /dev/zero'];
  const pty = { size: { cols: 80, rows: 24 } };
  const answer = await open('Start', { process: { cmd: '/bin/sh', args }, pty, tag: 'terminal' });
  const { body } = await agent.client.unary('List', {});
  const { pid } = body.processes[0];
  const held = await standsStill(pid);
  assert.ok(held < 32 * MIB, `${held} bytes written before it was held back`);
  assert.ok(agent.privateMemory() - before < 40 * MIB);
  assert.equal((await agent.client.shell('echo free')).stdout, 'free\n');
  let length = 0;
  for await (const chunk of answer) length += chunk.length;
  assert.ok(length > (60_000_000 * 4) / 3, 'all of it has arrived');
});
