// What stays of commands when there have been many of them, or when they have written much.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { request } from 'node:http';
import { afterEach, beforeEach, test } from 'node:test';
import { encodeFrame } from '@sandport/protocol/connect';
import { startAgent, type TestAgent } from '../testing/agent-process.ts';
import { until } from '../testing/until.ts';

const MIB = 1024 * 1024;
let agent: TestAgent;
beforeEach(async () => {
  agent = await startAgent();
});
afterEach(() => agent[Symbol.asyncDispose]());

/** Open files of the agent but for the connections of its clients, which they keep. */
function descriptors(): number {
  const directory = `/proc/${agent.pid}/fd`;
  return readdirSync(directory).filter((name) => {
    try {
      return !readlinkSync(`${directory}/${name}`).startsWith('socket:');
    } catch {
      return false;
    }
  }).length;
}

/** Pids of the agent's children, dead ones too. */
function children(): string[] {
  return readdirSync('/proc').filter((name) => {
    if (!/^[0-9]+$/.test(name)) return false;
    try {
      const stat = readFileSync(`/proc/${name}/stat`, 'latin1');
      return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]) === agent.pid;
    } catch {
      return false;
    }
  });
}

async function runInTurn(times: number): Promise<void> {
  for (let run = 0; run < times; run++) {
    const { stdout, end } = await agent.client.shell(`echo ${run}`, { message: { stdin: run % 2 === 0 } });
    assert.deepEqual([stdout, end?.status], [`${run}\n`, 'exit status 0']);
  }
}

async function nothingIsLeft(descriptorsBefore: number): Promise<void> {
  await until('every descriptor is given back', () => descriptors() <= descriptorsBefore);
  assert.deepEqual(children(), []);
  assert.deepEqual((await agent.client.unary('List', {})).body, {});
}

async function memoryIsBackAt(before: number): Promise<void> {
  await until('the memory is given back', () => agent.privateMemory() - before < 4 * MIB);
}

test('1,000 commands one after the other leave neither processes nor descriptors, and the memory is given back', async () => {
  await runInTurn(10);
  const [memory, open] = [agent.privateMemory(), descriptors()];
  await runInTurn(1000);
  await nothingIsLeft(open);
  await memoryIsBackAt(memory);
});

test('100 commands at once, with output on both pipes, leave nothing', async () => {
  await agent.client.shell('true');
  const [memory, open] = [agent.privateMemory(), descriptors()];
  for (let round = 0; round < 3; round++) {
    const results = await Promise.all(
      Array.from({ length: 100 }, (_, number) =>
        agent.client.shell(`head -c 50000 /dev/zero; head -c 50000 /dev/zero >&2; exit ${number}`),
      ),
    );
    results.forEach(({ stdout, stderr, end }, number) => {
      assert.deepEqual([stdout.length, stderr.length, end?.exitCode ?? 0], [50_000, 50_000, number]);
    });
  }
  await nothingIsLeft(open);
  await memoryIsBackAt(memory);
});

test('100 terminals at once leave nothing', async () => {
  await agent.client.shell('true');
  const open = descriptors();
  const pty = { size: { cols: 80, rows: 24 } };
  const results = await Promise.all(
    Array.from({ length: 100 }, (_, number) => agent.client.shell(`tty; exit ${number}`, { message: { pty } })),
  );
  results.forEach(({ end }, number) => {
    assert.equal(end?.exitCode ?? 0, number);
  });
  await nothingIsLeft(open);
});

test('512 MiB of output pass through at a steady memory', async () => {
  const before = agent.privateMemory();
  const bytes = 512 * MIB;
  const call = request(`${agent.url}/process.Process/Start`, {
    method: 'POST',
    agent: false,
    headers: { 'content-type': 'application/connect+json' },
  });
  call.end(encodeFrame(0, { process: { cmd: 'head', args: ['-c', String(bytes), '/dev/zero'] } }));
  let received = 0;
  let pieces = 0;
  let most = 0;
  await new Promise<void>((resolve, reject) => {
    call.on('error', reject).on('response', (answer) => {
      answer.on('error', reject).on('end', resolve);
      answer.on('data', (piece: Buffer) => {
        received += piece.length;
        if (++pieces % 200 === 0) most = Math.max(most, agent.privateMemory());
      });
    });
  });
  assert.ok(received > (bytes * 4) / 3, `${received} bytes, in base64`);
  assert.ok(most > 0 && most - before < 80 * MIB, `${(most - before) / MIB} MiB more`);
  await memoryIsBackAt(before);
});
