import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { CommandExitError, NotFoundError, Sandbox, TimeoutError } from 'e2b';
import { startAgent, type TestAgent } from './testing/agent-process.ts';
import { type FakeApi, startFakeApi } from './testing/fake-api.ts';
import { until } from './testing/until.ts';

const SANDBOX_ID = 'i0123456789abcdefghij';
const TOKEN = 'access-token-of-the-test';
let agent: TestAgent;
let api: FakeApi;
let sandbox: Sandbox;

before(async () => {
  agent = await startAgent({ accessToken: TOKEN, defaultUser: 'user' });
  api = await startFakeApi(SANDBOX_ID, TOKEN);
  sandbox = await Sandbox.connect(SANDBOX_ID, {
    apiKey: `e2b_${'0'.repeat(40)}`,
    apiUrl: api.url,
    sandboxUrl: agent.url,
  });
});
after(async () => {
  await agent[Symbol.asyncDispose]();
  await api[Symbol.asyncDispose]();
});

test('commands.run returns output and calls back with it', async () => {
  const seen: string[] = [];
  const result = await sandbox.commands.run('echo "$A"; echo err >&2; id -un 2>/dev/null || id -u', {
    envs: { A: 'ünï' },
    cwd: '/tmp',
    onStdout: (text) => void seen.push(text),
  });
  assert.equal(result.exitCode, 0);
  assert.match(result.stdout, /^ünï\n/);
  assert.equal(result.stderr, 'err\n');
  assert.equal(seen.join(''), result.stdout);
});

test('a failing command throws its exit code', async () => {
  const error = await sandbox.commands.run('echo bad >&2; exit 12').catch((thrown: unknown) => thrown);
  assert.ok(error instanceof CommandExitError);
  assert.deepEqual([error.exitCode, error.stderr, error.error], [12, 'bad\n', 'exit status 12']);
});

test('the timeout is a TimeoutError', async () => {
  await assert.rejects(sandbox.commands.run('sleep 1000', { timeoutMs: 400 }), TimeoutError);
});

test('a background command is listed, connected to, fed and killed', async () => {
  const handle = await sandbox.commands.run('cat', { background: true, stdin: true });
  await until('it is the only one listed', async () => {
    const listed = await sandbox.commands.list();
    return listed.length === 1 && listed[0]!.pid === handle.pid;
  });
  await handle.disconnect();
  const again = await sandbox.commands.connect(handle.pid);
  await sandbox.commands.sendStdin(handle.pid, 'fed\n');
  await until('the input comes back', () => again.stdout === 'fed\n');
  assert.equal(await again.kill(), true);
  await assert.rejects(again.wait(), CommandExitError);
  assert.equal(await sandbox.commands.kill(handle.pid), false);
  await assert.rejects(sandbox.commands.sendStdin(handle.pid, 'x'), NotFoundError);
});

test('closing stdin lets the command end', async () => {
  const handle = await sandbox.commands.run('wc -c', { background: true, stdin: true });
  await sandbox.commands.sendStdin(handle.pid, 'x'.repeat(2_000_000));
  await handle.closeStdin();
  assert.equal((await handle.wait()).stdout.trim(), '2000000');
});

test('the client runs commands as another user, and knows that the sandbox runs', async () => {
  assert.equal((await sandbox.commands.run('id -u', { user: 'root' })).stdout, '0\n');
  assert.equal((await sandbox.commands.run('id -u')).stdout, '1000\n');
  assert.equal(await sandbox.isRunning(), true);
});

test('files are written, read and opened by signed URL', async () => {
  const written = await sandbox.files.write('notes/a.txt', 'hellö');
  assert.equal(written.path, `${agent.home}/notes/a.txt`);
  assert.equal(await sandbox.files.read('notes/a.txt'), 'hellö');
  await sandbox.files.write([
    { path: 'notes/b.txt', data: 'b' },
    { path: '/tmp/../tmp/sandport-agent-c.txt', data: new Blob(['c']) },
  ]);
  assert.equal(await sandbox.files.read('/tmp/sandport-agent-c.txt'), 'c');
  await sandbox.commands.run('rm /tmp/sandport-agent-c.txt');
  assert.deepEqual(Buffer.from(await sandbox.files.read('notes/b.txt', { format: 'bytes' })).toString(), 'b');
  await assert.rejects(sandbox.files.read('notes/none'), NotFoundError);
  const download = await sandbox.downloadUrl('notes/a.txt', { useSignatureExpiration: 60 });
  assert.equal(await (await fetch(download)).text(), 'hellö');
  const form = new FormData();
  form.append('file', new Blob(['uploaded']), 'any');
  const upload = await sandbox.uploadUrl('notes/up.txt');
  assert.equal((await fetch(upload, { method: 'POST', body: form })).status, 200);
  assert.equal(await sandbox.files.read('notes/up.txt'), 'uploaded');
});

test('directories are made, listed, renamed and removed', async () => {
  assert.equal(await sandbox.files.makeDir('project/src'), true);
  assert.equal(await sandbox.files.makeDir('project/src'), false);
  await sandbox.files.write('project/src/main.py', 'print(1)');
  const entries = await sandbox.files.list('project', { depth: 2 });
  assert.deepEqual(
    entries.map(({ name, type }) => [name, type]),
    [
      ['src', 'dir'],
      ['main.py', 'file'],
    ],
  );
  const info = await sandbox.files.rename('project/src/main.py', 'project/app.py');
  assert.deepEqual([info.path, info.size, info.owner], [`${agent.home}/project/app.py`, 8, 'user']);
  assert.ok((await sandbox.files.getInfo('project/app.py')).modifiedTime instanceof Date);
  assert.equal(await sandbox.files.exists('project/src/main.py'), false);
  await sandbox.files.remove('project');
  assert.equal(await sandbox.files.exists('project'), false);
});
