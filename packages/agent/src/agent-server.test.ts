import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { appendFileSync, existsSync, lstatSync, readFileSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { AGENT_PROTOCOL_VERSION } from '@sandport/protocol/agent-port';
import { createAgentServer } from './agent-server.ts';
import { AgentClient, collect } from './testing/agent-client.ts';
import { CONTROL_TOKEN, startAgent, startUninitialisedAgent, type TestAgent } from './testing/agent-process.ts';

const TOKEN = 'access-token-of-the-test';
let agent: TestAgent;
before(async () => {
  agent = await startAgent({ accessToken: TOKEN, envVars: { NAME: 'value' } });
});
after(() => agent[Symbol.asyncDispose]());

const withToken = { headers: { 'x-access-token': TOKEN } };

test('until init only health answers', async () => {
  await using fresh = await startUninitialisedAgent();
  assert.equal((await fetch(`${fresh.url}/health`)).status, 204);
  for (const path of ['/metrics', '/envs', '/process.Process/List', '/anything']) {
    assert.equal((await fetch(fresh.url + path)).status, 503, path);
  }
});

test('until init a command can be rehearsed, which nobody sees of it afterwards', async () => {
  await using fresh = await startUninitialisedAgent();
  const client = new AgentClient(fresh.url);
  const process = { cmd: '/bin/sh', args: ['-c', 'id -u; pwd'], cwd: fresh.root };
  assert.equal((await fetch(`${fresh.url}/rehearsal`)).status, 503, 'not by GET');
  const rehearsed = await collect(client.stream('./rehearsal', { process }, { user: 'user' }));
  assert.equal(rehearsed.stdout, `1000\n${fresh.root}\n`);
  assert.equal((await fresh.init()).status, 204);
  assert.equal((await fetch(`${fresh.url}/rehearsal`, { method: 'POST' })).status, 404);
  const listed = await fetch(`${fresh.url}/process.Process/List`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: '{}',
  });
  assert.deepEqual(await listed.json(), {});
});

test('a malformed init is refused with the field, and leaves the agent waiting', async () => {
  await using fresh = await startUninitialisedAgent();
  for (const [field, value] of Object.entries({
    controlToken: 'short',
    sandboxId: 5,
    templateId: 'a\nb',
    defaultUser: undefined,
    defaultWorkdir: '',
    hostname: 'a b',
    nameservers: ['dns.test'],
    domain: 7,
    now: 'now',
    envVars: { a: 1 },
    accessToken: '',
    buildId: 1,
  })) {
    const answer = await fresh.init({ [field]: value });
    assert.equal(answer.status, 400, field);
    assert.match((await answer.json()).message, new RegExp(`^${field} `));
  }
  for (const body of ['', '{', '[]', 'null']) {
    assert.equal((await fetch(`${fresh.url}/init`, { method: 'POST', body })).status, 400, body);
  }
  assert.equal((await fetch(`${fresh.url}/init`)).status, 405);
  assert.equal((await fetch(`${fresh.url}/envs`)).status, 503);
  assert.equal((await fresh.init()).headers.get('x-envd-version'), AGENT_PROTOCOL_VERSION);
});

test('init again needs the control token of the first call, and replaces everything', async () => {
  await using fresh = await startAgent({ envVars: { OLD: '1' }, now: 1000 });
  const refused = await Promise.all([
    fresh.init({ controlToken: 'another-control-token' }),
    fresh.init({}, 'another-control-token'),
    fresh.init({}, ''),
  ]);
  assert.deepEqual(
    refused.map(({ status }) => status),
    [401, 401, 401],
  );
  assert.equal((await fresh.init({ envVars: { NEW: '2' }, accessToken: TOKEN, now: 2000 }, CONTROL_TOKEN)).status, 204);
  assert.equal((await fetch(`${fresh.url}/envs`)).status, 401);
  const envs = await (await fetch(`${fresh.url}/envs`, withToken)).json();
  assert.deepEqual([envs.OLD, envs.NEW], [undefined, '2']);
});

test('which of two inits is the later one is told by their sequence, also when the wall clock was set back', async () => {
  await using fresh = await startAgent({ envVars: { A: 'first' }, now: 2000, sequence: 1 });
  assert.equal((await fresh.init({ envVars: { A: 'second' }, now: 1000, sequence: 2 }, CONTROL_TOKEN)).status, 204);
  assert.deepEqual((await (await fetch(`${fresh.url}/envs`)).json()).A, 'second');
});

test('an init that was overtaken by a later one changes nothing', async () => {
  await using fresh = await startAgent({ envVars: { A: 'late' }, now: 2000 });
  assert.equal((await fresh.init({ envVars: { A: 'early' }, now: 1000 }, CONTROL_TOKEN)).status, 204);
  assert.equal((await (await fetch(`${fresh.url}/envs`)).json()).A, 'late');
});

test('init writes the files that name the sandbox', async () => {
  // Whatever is asked after init finds them.
  await fetch(`${agent.url}/health`);
  const read = (path: string) => readFileSync(join(agent.root, path), 'utf8');
  assert.match(read('etc/hosts'), /^127\.0\.0\.1 localhost\n::1 localhost/);
  assert.match(read('etc/hosts'), /^169\.254\.0\.21 sandbox$/m);
  assert.equal(read('etc/hostname'), 'sandbox\n');
  assert.equal(read('etc/resolv.conf'), 'nameserver 192.0.2.53\noptions timeout:2 attempts:2\n');
  assert.equal(read('.e2b'), 'ENV_ID=base\nTEMPLATE_ID=base\nBUILD_ID=\n');
  assert.equal(read('run/e2b/.E2B_SANDBOX_ID'), 'i0123456789abcdefghij');
  assert.equal(read('run/e2b/.E2B_SANDBOX'), 'true');
});

test('init once more leaves alone what stays the same, and replaces what does not', async () => {
  await using fresh = await startAgent();
  await fetch(`${fresh.url}/health`);
  const hosts = join(fresh.root, 'etc/hosts');
  appendFileSync(hosts, '192.0.2.1 added\n');
  const machineId = readFileSync(join(fresh.root, 'etc/machine-id'), 'utf8');
  assert.equal((await fresh.init({ sandboxId: 'iother', generation: '2' }, CONTROL_TOKEN)).status, 204);
  await fetch(`${fresh.url}/health`);
  assert.match(readFileSync(hosts, 'utf8'), /^192\.0\.2\.1 added$/m);
  assert.equal(readFileSync(join(fresh.root, 'run/e2b/.E2B_SANDBOX_ID'), 'utf8'), 'iother');
  assert.notEqual(readFileSync(join(fresh.root, 'etc/machine-id'), 'utf8'), machineId);
});

test('a dangling link of the image in place of resolv.conf is replaced', async () => {
  await using fresh = await startUninitialisedAgent();
  symlinkSync('../run/systemd/resolve/stub-resolv.conf', join(fresh.root, 'etc/resolv.conf'));
  assert.equal((await fresh.init()).status, 204);
  await fetch(`${fresh.url}/health`);
  assert.match(readFileSync(join(fresh.root, 'etc/resolv.conf'), 'utf8'), /^nameserver 192\.0\.2\.53$/m);
  assert.equal(existsSync(join(fresh.root, 'run/systemd')), false);
});

test('a pipe in place of a file is left, and not waited for', async () => {
  await using fresh = await startUninitialisedAgent();
  execFileSync('mkfifo', [join(fresh.root, 'etc/hosts')]);
  assert.equal((await fresh.init()).status, 204);
  assert.equal((await fetch(`${fresh.url}/health`)).status, 204);
  assert(lstatSync(join(fresh.root, 'etc/hosts')).isFIFO());
  assert.equal(readFileSync(join(fresh.root, 'etc/hostname'), 'utf8'), 'sandbox\n');
});

test('everything but health asks for the access token', async () => {
  assert.equal((await fetch(`${agent.url}/health`)).status, 204);
  for (const path of ['/metrics', '/envs', '/process.Process/List', '/process.Process/Start', '/anything']) {
    for (const token of [undefined, '', 'wrong', `${TOKEN}x`]) {
      const answer = await fetch(agent.url + path, token === undefined ? {} : { headers: { 'x-access-token': token } });
      assert.equal(answer.status, 401, `${path} with ${token}`);
      assert.deepEqual(await answer.json(), {
        code: 401,
        message: 'unauthorized access, please provide a valid access token or method signing if supported',
      });
    }
  }
  assert.equal((await agent.client.shell('echo in', withToken)).stdout, 'in\n');
});

test('metrics and environment are JSON', async () => {
  const metrics = await (await fetch(`${agent.url}/metrics`, withToken)).json();
  for (const name of [
    'ts',
    'cpu_count',
    'mem_total',
    'mem_used',
    'disk_used',
    'disk_total',
    'mem_total_mib',
    'mem_used_mib',
  ]) {
    assert.ok(metrics[name] > 0, name);
  }
  assert.ok(metrics.cpu_used_pct >= 0 && metrics.cpu_used_pct <= 100);
  assert.ok(metrics.mem_used <= metrics.mem_total && metrics.disk_used <= metrics.disk_total);
  assert.equal((await (await fetch(`${agent.url}/envs`, withToken)).json()).NAME, 'value');
});

test('a page of any origin may call, and preflight needs no token', async () => {
  const preflight = await fetch(`${agent.url}/process.Process/Start`, {
    method: 'OPTIONS',
    headers: {
      origin: 'https://page.test',
      'access-control-request-method': 'POST',
      'access-control-request-headers': 'authorization,x-access-token',
    },
  });
  assert.equal(preflight.status, 204);
  assert.equal(preflight.headers.get('access-control-allow-origin'), '*');
  assert.equal(preflight.headers.get('access-control-allow-headers'), 'authorization,x-access-token');
  assert.match(preflight.headers.get('access-control-allow-methods')!, /POST/);
  assert.equal(preflight.headers.get('access-control-max-age'), '7200');
  const call = await fetch(`${agent.url}/envs`, { headers: { origin: 'https://page.test', ...withToken.headers } });
  assert.equal(call.headers.get('access-control-allow-origin'), '*');
  assert.match(call.headers.get('access-control-expose-headers')!, /Grpc-Status/);
});

test('a head that never ends is given up, a body may take its time', () => {
  const server = createAgentServer('/');
  assert.ok(server.headersTimeout > 0);
  assert.equal(server.requestTimeout, 0);
});

test('an unknown route is a JSON 404', async () => {
  const answer = await fetch(`${agent.url}/nothing?x`, withToken);
  assert.deepEqual([answer.status, await answer.json()], [404, { code: 404, message: 'no route GET /nothing' }]);
});
