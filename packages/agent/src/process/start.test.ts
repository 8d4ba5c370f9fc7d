import assert from 'node:assert/strict';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { collect, startedPid } from '../testing/agent-client.ts';
import { startAgent, type TestAgent } from '../testing/agent-process.ts';
import { until } from '../testing/until.ts';

let agent: TestAgent;
before(async () => {
  agent = await startAgent({ envVars: { GLOBAL: 'of init', SHARED: 'of init' } });
});
after(() => agent[Symbol.asyncDispose]());

test('a command streams its output and its exit code', async () => {
  const result = await agent.client.shell('echo out; echo err >&2; exit 3');
  assert.equal(result.stdout, 'out\n');
  assert.equal(result.stderr, 'err\n');
  assert.deepEqual(result.end, { exitCode: 3, exited: true, status: 'exit status 3', error: 'exit status 3' });
  assert.equal(result.error, undefined);
});

test('exit code 0 is absent, as proto3 JSON has it', async () => {
  assert.deepEqual((await agent.client.shell('true')).end, { exited: true, status: 'exit status 0' });
});

test('a process that a signal ends says which', async () => {
  assert.deepEqual((await agent.client.shell('kill -9 $$')).end, {
    exitCode: -1,
    status: 'signal: killed',
    error: 'signal: killed',
  });
});

test('a missing program is an exit with 127 and a program without permission one with 126', async () => {
  const missing = await collect(agent.client.start({ process: { cmd: 'no-such-program' } }));
  assert.equal(missing.end?.exitCode, 127);
  assert.match(missing.stderr, /no-such-program: not found/);
  assert.notEqual(missing.pid, 0);
  const plain = await collect(agent.client.start({ process: { cmd: join(agent.root, 'etc/passwd') } }));
  assert.equal(plain.end?.exitCode, 126);
});

test('a program is found by the PATH of its own environment, and a text without an interpreter is a shell script', async () => {
  const script = join(agent.root, 'greet');
  writeFileSync(script, 'echo "hello $1"\n', { mode: 0o755 });
  const found = await collect(
    agent.client.start({ process: { cmd: 'greet', args: ['you'], envs: { PATH: `/no/such:${agent.root}` } } }),
  );
  assert.deepEqual([found.stdout, found.end?.status], ['hello you\n', 'exit status 0']);
  const elsewhere = await collect(agent.client.start({ process: { cmd: 'greet' } }));
  assert.equal(elsewhere.end?.exitCode, 127);
  const beside = await collect(agent.client.start({ process: { cmd: './greet', cwd: agent.root } }));
  assert.equal(beside.stdout, 'hello \n');
  const directory = await collect(agent.client.start({ process: { cmd: '/usr' } }));
  assert.equal(directory.end?.exitCode, 126);
});

test('signals that the agent ignores are not ignored by commands', async () => {
  const result = await agent.client.shell('grep -E "^Sig(Ign|Blk)" /proc/self/status');
  assert.equal(result.stdout, 'SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n');
});

test('a command that ends its process group ends no other', async () => {
  const stream = agent.client.start({ process: { cmd: 'sleep', args: ['1000'] } });
  const pid = await startedPid(stream);
  assert.equal((await agent.client.shell('kill -TERM 0')).end?.status, 'signal: terminated');
  assert.ok(existsSync(`/proc/${pid}`), 'the other goes on, and so does the agent');
  await agent.client.unary('SendSignal', { process: { pid }, signal: 'SIGNAL_SIGKILL' });
  await collect(stream);
});

test('the request wins over init, init over the user, and nothing else is inherited', async () => {
  const result = await agent.client.shell('env', { envs: { SHARED: 'of request', OWN: '=a b\n' }, user: 'user' });
  const lines = new Set(result.stdout.split('\n'));
  for (const line of [
    `HOME=${agent.home}`,
    'USER=user',
    'LOGNAME=user',
    'GLOBAL=of init',
    'SHARED=of request',
    'OWN==a b',
  ]) {
    assert.ok(lines.has(line), `${line} in ${result.stdout}`);
  }
  assert.ok(lines.has('E2B_SANDBOX=true') && lines.has('E2B_SANDBOX_ID=i0123456789abcdefghij'));
  assert.ok(lines.has('SANDPORT_DOMAIN=box.test:8443'));
  assert.ok(lines.has('__VITE_ADDITIONAL_SERVER_ALLOWED_HOSTS=.box.test'));
  assert.ok(![...lines].some((line) => line.startsWith('NODE_TEST_CONTEXT=')), 'the agent has it, the command has not');
});

test('a variable called __proto__ is a variable', async () => {
  const message = { process: { cmd: 'env', envs: JSON.parse('{"__proto__":"x"}') } };
  assert.match((await collect(agent.client.start(message))).stdout, /^__proto__=x$/m);
});

test('a command runs as the named user with all of its groups', async () => {
  const result = await agent.client.shell('id -u; id -g; id -G; grep -E "^(Uid|CapEff)" /proc/self/status', {
    user: 'user',
  });
  assert.deepEqual(result.stdout.split('\n').slice(0, 5), [
    '1000',
    '1000',
    '1000 27 998',
    'Uid:\t1000\t1000\t1000\t1000',
    'CapEff:\t0000000000000000',
  ]);
});

test('the agent itself stays root while it starts commands of others', async () => {
  await Promise.all(Array.from({ length: 20 }, () => agent.client.shell('true', { user: 'user' })));
  const status = readFileSync(`/proc/${agent.pid}/status`, 'utf8');
  assert.match(status, /^Uid:\t0\t0\t0\t0$/m);
  assert.match(status, /^Gid:\t0\t0\t0\t0$/m);
});

test('an unknown user is unauthenticated', async () => {
  for (const user of ['nobody-here', 'user:x', '../root']) {
    const result = await agent.client.shell('true', { user });
    if (user === 'user:x') assert.equal(result.error, undefined, 'what follows the colon is a password');
    else assert.equal(`${result.error}: ${result.message}`, `unauthenticated: invalid username: '${user}'`);
  }
});

test('the directory is the default one, the given one, or under the home', async () => {
  assert.equal((await agent.client.shell('pwd')).stdout, `${agent.root}\n`);
  assert.equal((await agent.client.shell('pwd', { cwd: '/usr' })).stdout, '/usr\n');
  assert.equal((await agent.client.shell('mkdir sub', { cwd: '~', user: 'user' })).end?.exitCode, undefined);
  assert.equal((await agent.client.shell('pwd', { cwd: 'sub', user: 'user' })).stdout, `${agent.home}/sub\n`);
});

test('a missing directory, and one the user may not enter, are invalid arguments', async () => {
  const missing = await agent.client.shell('true', { cwd: '/no/such' });
  assert.equal(`${missing.error}: ${missing.message}`, "invalid_argument: cwd '/no/such' does not exist");
  const closed = await agent.client.shell('mkdir -m 700 closed && echo made');
  assert.equal(closed.stdout, 'made\n');
  const entered = await agent.client.shell('true', { cwd: join(agent.root, 'closed'), user: 'user' });
  assert.equal(entered.error, 'invalid_argument');
});

test('programs can open /dev/stdout, /dev/stderr and /dev/stdin', async () => {
  const command = 'echo a > /dev/stdout; echo b > /dev/stderr; cat /dev/stdin';
  const result = await agent.client.shell(command, { user: 'user' });
  assert.deepEqual([result.stdout, result.stderr], ['a\n', 'b\n']);
});

test('without stdin a program reads end-of-file at once', async () => {
  assert.equal((await agent.client.shell('cat; echo done')).stdout, 'done\n');
});

test('large output arrives whole and in pieces of at most 32 KiB', async () => {
  let bytes = 0;
  let longest = 0;
  for await (const { event } of agent.client.start({
    process: { cmd: 'head', args: ['-c', '20000000', '/dev/zero'] },
  })) {
    if (event === undefined || !('data' in event) || !('stdout' in event.data)) continue;
    const { length } = Buffer.from(event.data.stdout, 'base64');
    bytes += length;
    longest = Math.max(longest, length);
  }
  assert.equal(bytes, 20_000_000);
  assert.ok(longest <= 32 * 1024, `${longest}`);
});

test('the end waits for a child that has inherited the output', async () => {
  const result = await agent.client.shell('(sleep 0.3; echo late) & echo early');
  assert.equal(result.stdout, 'early\nlate\n');
});

test('the timeout kills the command and ends the stream with deadline_exceeded', async () => {
  const marker = join(agent.root, 'survived');
  const result = await agent.client.shell(`echo begun; sleep 1; echo > ${marker}`, {
    headers: { 'connect-timeout-ms': '300' },
  });
  assert.equal(result.stdout, 'begun\n');
  assert.equal(result.error, 'deadline_exceeded');
  await until('the process is gone', () => !existsSync(`/proc/${result.pid}`));
  assert.equal(existsSync(marker), false);
});

test('the timeout kills a command whose client has gone', async () => {
  const abort = new AbortController();
  const headers = { 'connect-timeout-ms': '400' };
  const stream = agent.client.start({ process: { cmd: 'sleep', args: ['1000'] } }, { headers, signal: abort.signal });
  const pid = await startedPid(stream);
  abort.abort();
  await until('the process is gone', () => !existsSync(`/proc/${pid}`));
});

test('a malformed timeout is an invalid argument', async () => {
  const result = await agent.client.shell('true', { headers: { 'connect-timeout-ms': '12345678901' } });
  assert.equal(result.error, 'invalid_argument');
});

test('a client that goes away does not end its command', async () => {
  const abort = new AbortController();
  const message = { process: { cmd: '/bin/sh', args: ['-c', 'read line; echo "$line" > got'] }, tag: 'orphan' };
  const pid = await startedPid(agent.client.start(message, { signal: abort.signal }));
  abort.abort();
  assert.ok(existsSync(`/proc/${pid}`));
  const input = { stdin: Buffer.from('still here\n').toString('base64') };
  assert.equal((await agent.client.unary('SendInput', { process: { pid }, input })).status, 200);
  const file = join(agent.root, 'got');
  await until('the command has gone on', () => existsSync(file) && readFileSync(file, 'utf8') === 'still here\n');
});

test('Connect gets the output from then on and the end', async () => {
  const first = agent.client.start({ process: { cmd: '/bin/sh', args: ['-c', 'echo one; read x; echo two; exit 5'] } });
  const pid = await startedPid(first);
  assert.ok((await first.next()).value?.event, 'the first line has gone to the first client');
  const second = agent.client.stream('Connect', { process: { pid } });
  assert.equal(await startedPid(second), pid);
  await agent.client.unary('SendInput', { process: { pid }, input: { stdin: btoa('\n') } });
  const [one, two] = await Promise.all([collect(first), collect(second)]);
  assert.deepEqual([one.stdout, two.stdout], ['two\n', 'two\n']);
  assert.deepEqual([one.end?.exitCode, two.end?.exitCode], [5, 5]);
});

test('Connect to a command that has ended gets its end; to one that never was, not_found', async () => {
  const { pid } = await agent.client.shell('exit 7', { message: { tag: 'late' } });
  for (const process of [{ pid }, { tag: 'late' }]) {
    const late = await collect(agent.client.stream('Connect', { process }));
    assert.deepEqual([late.pid, late.end?.exitCode, late.error], [pid, 7, undefined]);
  }
  assert.equal((await collect(agent.client.stream('Connect', { process: { pid: 4194303 } }))).error, 'not_found');
});

test('silence is broken by keepalives', async () => {
  const message = { process: { cmd: 'sleep', args: ['1.5'] } };
  const events: string[] = [];
  for await (const { event } of agent.client.start(message, { headers: { 'keepalive-ping-interval': '1' } })) {
    events.push(...Object.keys(event ?? {}));
  }
  assert.deepEqual(events, ['start', 'keepalive', 'end']);
});

test('a hundred commands at once all end well', async () => {
  const results = await Promise.all(
    Array.from({ length: 100 }, (_, number) => agent.client.shell(`echo ${number}; exit ${number}`)),
  );
  results.forEach((result, number) => {
    assert.equal(result.stdout, `${number}\n`);
    assert.equal(result.end?.exitCode ?? 0, number);
  });
});

test('descriptors do not pile up', async () => {
  const count = async () => (await agent.client.shell(`ls /proc/${agent.pid}/fd | wc -l`)).stdout;
  await agent.client.shell('true');
  const before = Number(await count());
  for (let run = 0; run < 30; run++) await agent.client.shell('true');
  for (let run = 0; run < 10; run++) await collect(agent.client.start({ process: { cmd: 'no-such-program' } }));
  await until('the descriptors are given back', async () => Number(await count()) <= before + 2);
});

test('a user added while the sandbox runs can be used at once', async () => {
  const passwd = join(agent.root, 'etc/passwd');
  writeFileSync(passwd, `${readFileSync(passwd, 'utf8')}newcomer:x:1234:1235::/tmp:/bin/sh\n`);
  assert.equal((await agent.client.shell('id -u; pwd', { user: 'newcomer', cwd: '~' })).stdout, '1234\n/tmp\n');
});
