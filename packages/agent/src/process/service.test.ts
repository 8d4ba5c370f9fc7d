import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { collect, startedPid } from '../testing/agent-client.ts';
import { startAgent, type TestAgent } from '../testing/agent-process.ts';
import { until } from '../testing/until.ts';

let agent: TestAgent;
before(async () => {
  agent = await startAgent();
});
after(() => agent[Symbol.asyncDispose]());

const kill = (process: object, signal = 'SIGNAL_SIGKILL') => agent.client.unary('SendSignal', { process, signal });

test('List names what runs, with its configuration and tag, and nothing that has ended', async () => {
  assert.deepEqual((await agent.client.unary('List', {})).body, {});
  const process = { cmd: 'sleep', args: ['1000'], envs: { A: 'b' }, cwd: '/usr' };
  const stream = agent.client.start({ process, tag: 'mine' });
  const pid = await startedPid(stream);
  assert.deepEqual((await agent.client.unary('List', {})).body, { processes: [{ config: process, pid, tag: 'mine' }] });
  await kill({ pid });
  await collect(stream);
  assert.deepEqual((await agent.client.unary('List', {})).body, {});
});

test('a tag finds its process among others with tags of their own', async () => {
  const streams = ['a', 'b', 'c'].map((tag) => agent.client.start({ process: { cmd: 'sleep', args: ['1000'] }, tag }));
  const pids = await Promise.all(streams.map(startedPid));
  assert.equal((await kill({ tag: 'b' })).status, 200);
  assert.equal((await collect(streams[1]!)).end?.status, 'signal: killed');
  assert.deepEqual(
    pids.map((pid) => existsSync(`/proc/${pid}`)),
    [true, false, true],
  );
  await Promise.all([kill({ tag: 'a' }), kill({ tag: 'c' })]);
  await Promise.all([collect(streams[0]!), collect(streams[2]!)]);
});

test('SIGTERM lets a process end by itself', async () => {
  const stream = agent.client.start({
    process: { cmd: '/bin/sh', args: ['-c', "trap 'echo bye; exit 9' TERM; echo ready; while :; do sleep 0.05; done"] },
  });
  const pid = await startedPid(stream);
  assert.ok((await stream.next()).value?.event, 'the trap is set');
  await kill({ pid }, 'SIGNAL_SIGTERM');
  const result = await collect(stream);
  assert.deepEqual([result.stdout, result.end?.exitCode], ['bye\n', 9]);
});

test('a signal reaches the process alone, and its end does not wait for the children that hold the output', async () => {
  const stream = agent.client.start({ process: { cmd: '/bin/sh', args: ['-c', 'sleep 1000 & echo $!; wait'] } });
  const pid = await startedPid(stream);
  const line = (await stream.next()).value?.event;
  assert.ok(line && 'data' in line && 'stdout' in line.data);
  const child = Number(Buffer.from(line.data.stdout, 'base64'));
  await kill({ pid });
  assert.equal((await collect(stream)).end?.status, 'signal: killed');
  assert.ok(existsSync(`/proc/${child}`));
  process.kill(child, 'SIGKILL');
});

test('other signals are unimplemented and unknown ones invalid', async () => {
  const stream = agent.client.start({ process: { cmd: 'sleep', args: ['1000'] } });
  const pid = await startedPid(stream);
  assert.deepEqual([(await kill({ pid }, 'SIGNAL_UNSPECIFIED')).status], [501]);
  assert.equal((await kill({ pid }, 'SIGNAL_SIGHUP')).status, 400);
  assert.ok(existsSync(`/proc/${pid}`));
  await kill({ pid });
  await collect(stream);
});

test('a signal for a process that has ended is not_found', async () => {
  const { pid } = await agent.client.shell('true');
  const answer = await kill({ pid });
  assert.deepEqual([answer.status, answer.body.code], [404, 'not_found']);
});

test('a terminal size for a process without terminal is refused', async () => {
  const stream = agent.client.start({ process: { cmd: 'sleep', args: ['1000'] } });
  const process = { pid: await startedPid(stream) };
  const size = { cols: 80, rows: 24 };
  assert.equal((await agent.client.unary('Update', { process, pty: { size } })).body.code, 'failed_precondition');
  assert.equal((await agent.client.unary('Update', { process: { pid: 4194303 } })).body.code, 'not_found');
  await kill(process);
  await collect(stream);
});

test('output that nobody watches is thrown away and blocks nothing', async () => {
  const abort = new AbortController();
  const process = { cmd: '/bin/sh', args: ['-c', 'read go; head -c 30000000 /dev/zero; echo done >&2'] };
  const pid = await startedPid(agent.client.start({ process }, { signal: abort.signal }));
  abort.abort();
  await agent.client.unary('SendInput', { process: { pid }, input: { stdin: btoa('\n') } });
  await until('the command has ended', async () => {
    const { body } = await agent.client.unary('List', {});
    return !body.processes?.some((running: { pid: number }) => running.pid === pid);
  });
  assert.equal((await collect(agent.client.stream('Connect', { process: { pid } }))).end?.exitCode, undefined);
});
