// The sandport command as a person and a script use it.
import assert from 'node:assert/strict';
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { appendFile, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { runtimes } from '../support/machine.ts';
import { SandportServer } from '../support/sandport-server.ts';
import { waitFor } from '../support/wait-for.ts';

const SANDPORT = fileURLToPath(new URL('../../node_modules/.bin/sandport', import.meta.url));
/** Without what would tell the command of another server. */
const clean = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(?:E2B|SANDPORT|SSL)_/.test(name)));

interface Outcome {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

function launch(data: string, args: readonly string[]): { child: ChildProcess; outcome: Promise<Outcome> } {
  const child = spawn(SANDPORT, args, { env: { ...clean, SANDPORT_DATA: data } });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  const outcome = new Promise<Outcome>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code) => resolve({ code, stdout, stderr }));
  });
  return { child, outcome };
}

describe('sandport command', () => {
  let server: SandportServer;
  let id: string;

  before(async () => {
    // Nothing here depends on the runtime; the faster one is enough.
    server = await SandportServer.start(runtimes.at(-1)!);
    id = (await sandport('create', '--metadata', 'a=b', '--metadata', 'c=d', '--env', 'GREETING=hello')).stdout.trim();
  });
  after(async () => {
    assert.deepEqual(await server.stop(), []);
  });

  function sandport(...args: string[]): Promise<Outcome> {
    const { child, outcome } = launch(server.data, args);
    child.stdin!.end();
    return outcome;
  }

  async function runningCommands(name: string): Promise<string> {
    return (await sandport('exec', id, '--', `pgrep -c -x ${name}`)).stdout.trim();
  }

  test('env prints exports with which a shell reaches the server', async () => {
    const { stdout, code } = await sandport('env');
    assert.equal(code, 0);
    const seen = spawn('sh', ['-c', `${stdout}\nenv`], { env: { PATH: process.env.PATH } });
    let lines = '';
    for await (const text of seen.stdout.setEncoding('utf8')) lines += text;
    for (const [name, value] of Object.entries(server.environment)) assert(lines.includes(`${name}=${value}\n`), name);
  });

  test('env, and all that need a server, say in one line and a hint that none runs, and exit with 1', async () => {
    const data = await mkdtemp(join(tmpdir(), 'sandport-none-'));
    try {
      for (const args of [['env'], ['list'], ['exec', id, 'true'], ['logs']]) {
        const { child, outcome } = launch(data, args);
        child.stdin!.end();
        const { code, stdout, stderr } = await outcome;
        assert.equal(code, 1);
        assert.equal(stdout, '');
        assert.match(stderr, /^sandport: .+\n {2}.+\n$/);
        assert(stderr.includes(data));
      }
    } finally {
      await rm(data, { recursive: true });
    }
  });

  test('create prints the ID alone to standard output, and list has it with its metadata', async () => {
    assert.match(id, /^i[a-z0-9]{20}$/);
    const { stdout } = await sandport('list');
    assert.match(stdout, new RegExp(`^${id}  base  running  ends in \\d+ s  a=b  c=d$`, 'm'));
    const [row] = (await sandport('list', '--json')).stdout.trim().split('\n');
    assert.deepEqual((JSON.parse(row!) as { metadata: unknown }).metadata, { a: 'b', c: 'd' });
  });

  test('create --private prints the token without which the URL answers 403; --mask-host and --no-internet hold', async () => {
    const { stdout, stderr } = await sandport(
      'create',
      '--private',
      '--no-internet',
      '--mask-host',
      'localhost:${PORT}',
    );
    const own = stdout.trim();
    try {
      const token = /e2b-traffic-access-token: (\S+)/.exec(stderr)![1]!;
      const url = (await sandport('url', own, '4000')).stdout.trim();
      const { child, outcome } = launch(server.data, [
        'exec',
        own,
        '--',
        `node -e 'require("http").createServer((i, o) => o.end(i.headers.host)).listen(4000)'`,
      ]);
      const answer = await waitFor('the server inside answers', async () => {
        const response = await fetch(url, { headers: { 'e2b-traffic-access-token': token } });
        return response.ok && response.text();
      });
      assert.equal(answer, 'localhost:4000');
      assert.equal((await fetch(url)).status, 403);
      child.kill('SIGTERM');
      assert.equal((await outcome).code, 143);
    } finally {
      await sandport('kill', own);
    }
  });

  test('exec passes on both outputs, the input, the environment and the exit code', async () => {
    const said = await sandport('exec', id, '--', 'echo $GREETING; echo bad >&2; exit 7');
    assert.deepEqual(said, { code: 7, stdout: 'hello\n', stderr: 'bad\n' });
    const words = await sandport('exec', id, '--', 'printf', '%s|', 'a b', "it's", '$HOME', '-n');
    assert.equal(words.stdout, "a b|it's|$HOME|-n|");
    const { child, outcome } = launch(server.data, ['exec', id, 'cat']);
    child.stdin!.write('ünï\n');
    child.stdin!.end('code\n');
    assert.equal((await outcome).stdout, 'ünï\ncode\n');
    assert.equal((await sandport('exec', '--user', 'root', '--cwd', '/usr', id, 'id -un; pwd')).stdout, 'root\n/usr\n');
    assert.equal((await sandport('exec', id, '--', 'kill -TERM $$')).code, 143);
  });

  test('exec ends although its own input stays open', async () => {
    const { child, outcome } = launch(server.data, ['exec', id, 'true']);
    assert.equal((await outcome).code, 0);
    child.stdin!.destroy();
  });

  test('the command ends with exec, and with the reader of its output', async () => {
    const { child, outcome } = launch(server.data, ['exec', id, '--', 'echo on; exec sleep 1000']);
    child.stdout!.once('data', () => child.kill('SIGTERM'));
    assert.equal((await outcome).code, 143);
    await waitFor('sleep is gone', async () => (await runningCommands('sleep')) === '0');
    const reader = launch(server.data, ['exec', id, 'yes']);
    reader.child.stdout!.once('data', () => reader.child.stdout!.destroy());
    assert.equal((await reader.outcome).code, 141);
    await waitFor('yes is gone', async () => (await runningCommands('yes')) === '0');
  });

  test('url names the public URL of a port, and refuses what is none', async () => {
    const { domain } = server.connection;
    assert.equal((await sandport('url', id, '3000')).stdout, `https://3000-${id}.${domain}\n`);
    assert.match((await sandport('url', id, '70000')).stderr, /70000/);
    assert.match((await sandport('url', 'inowhere', '80')).stderr, /doesn't exist/);
  });

  test('what needs a sandbox that runs says that it is paused; its URL is the same', async () => {
    const paused = (await sandport('create')).stdout.trim();
    const before = (await sandport('url', paused, '3000')).stdout;
    assert.equal((await sandport('pause', '--no-memory', paused)).code, 0);
    for (const args of [
      ['exec', paused, 'true'],
      ['ports', paused],
    ]) {
      const { code, stdout, stderr } = await sandport(...args);
      assert.deepEqual([code, stdout], [1, '']);
      assert.match(
        stderr,
        new RegExp(`^sandport: sandbox ${paused} is paused; "sandport resume ${paused}" has it go on\n`),
      );
    }
    assert.deepEqual((await sandport('url', paused, '3000')).stdout, before);
    assert.match(before, new RegExp(`^https://3000-${paused}\\.`));
    assert.equal((await sandport('kill', paused)).code, 0);
  });

  test('trust has programs of this machine trust the server, and --undo takes it back', async () => {
    const look = ['-sS', '-o', '/dev/null', `${server.connection.apiUrl}/health`];
    const reaches = () =>
      promisify(execFile)('curl', look, { env: clean }).then(
        () => true,
        () => false,
      );
    try {
      assert.equal(await reaches(), false);
      const { code, stdout } = await sandport('trust');
      assert.equal(code, 0);
      assert.match(stdout, /to undo it: {2}sudo npx sandport trust --undo/);
      assert.equal(await reaches(), true);
    } finally {
      assert.equal((await sandport('trust', '--undo')).code, 0);
    }
    assert.equal(await reaches(), false);
  });

  test('logs --server prints the lines of the server that name one sandbox, and follows', async () => {
    const { stdout } = await sandport('logs', '--server', id);
    assert.match(stdout, /"msg":"sandbox created"/);
    assert(
      stdout
        .trim()
        .split('\n')
        .every((line) => line.includes(id)),
    );
    const { child, outcome } = launch(server.data, ['logs', '--server', '-f', id]);
    let seen = '';
    child.stdout!.on('data', (text: string) => (seen += text));
    await waitFor('the old lines', () => seen.includes('sandbox created'));
    const log = join(server.data, 'logs', 'server.log');
    const line = JSON.stringify({ sandboxId: id, msg: 'of the test' });
    await appendFile(log, line.slice(0, 10));
    await appendFile(log, `${line.slice(10)}\n${JSON.stringify({ sandboxId: 'other', msg: 'not asked for' })}\n`);
    await waitFor('the new line', () => seen.includes('of the test'));
    child.kill('SIGTERM');
    await outcome;
    assert(!seen.includes('not asked for'));
  });

  test('logs prints what happened with a sandbox and in it, the newest last, and follows until it ends', async () => {
    const other = (await sandport('create')).stdout.trim();
    await sandport('exec', other, '--', 'echo', 'first\u001b]0;\u009btitle');
    const { stdout, code } = await sandport('logs', other);
    assert.equal(code, 0);
    const lines = stdout.trim().split('\n');
    assert.match(lines[0]!, /^\d{4}-\d\d-\d\dT[\d:.]+Z {2}info {3}sandbox {2}sandbox started/);
    assert(
      lines.some((line) => line.includes('command started') && /echo 'first/.test(line)),
      stdout,
    );
    assert.doesNotMatch(stdout.replaceAll('\n', ''), /\p{Cc}/u, 'nothing that a terminal would obey');
    assert.equal((await sandport('logs', '-n', '1', other)).stdout.trim(), lines.at(-1));
    const entries = (await sandport('logs', '--json', other)).stdout.trim().split('\n');
    assert.equal(entries.length, lines.length);
    assert.equal(JSON.parse(entries[0]!).message, 'sandbox started');
    assert.equal((await sandport('logs', '--level', 'error', other)).stdout, '');

    const { child, outcome } = launch(server.data, ['logs', '-f', other]);
    let seen = '';
    child.stdout!.on('data', (text: string) => (seen += text));
    await waitFor('the old lines', () => seen.includes(lines.at(-1)!));
    await sandport('exec', other, '--', 'echo', 'second');
    await waitFor('the new lines', () => /command ended.*echo second/.test(seen));
    assert.equal((await sandport('pause', '--no-memory', other)).code, 0);
    await waitFor('the pause', () => seen.includes('sandbox paused'));
    assert.equal((await sandport('kill', other)).code, 0);
    assert.equal((await outcome).code, 0);
    const told = seen.trim().split('\n');
    assert.deepEqual(told.slice(0, lines.length), lines);
    assert.equal(told.length, lines.length + 3, 'each once');
    assert.match((await sandport('logs', other)).stderr, /doesn't exist/);
  });

  test('a wrong ID or option fails in words; --debug adds where', async () => {
    const { code, stderr } = await sandport('exec', 'inowhere', 'true');
    assert.equal(code, 1);
    assert.match(stderr, /^sandport: .*doesn't exist.*\n {2}.+\n$/);
    assert.match((await sandport('--debug', 'exec', 'inowhere', 'true')).stderr, /\n {4}at /);
    assert.equal((await sandport('create', '--timeout', 'soon')).code, 1);
    assert.equal((await sandport('create', '--metadata', 'novalue')).code, 1);
    assert.equal((await sandport('create', '--template', 'nothing')).code, 1);
    assert.equal((await sandport('kill')).code, 1);
    assert.equal((await sandport('nonsense')).code, 1);
  });

  test('kill ends the named ones, says who was not there, and --all ends the rest', async () => {
    const { stdout } = await sandport('create');
    const second = stdout.trim();
    const killed = await sandport('kill', second, 'inowhere');
    assert.equal(killed.code, 1);
    assert.equal(killed.stdout, `${second} killed\ninowhere was not there\n`);
    assert.equal((await sandport('kill', '--all')).stdout, `${id} killed\n`);
    assert.equal((await sandport('list')).stdout, '');
  });
});
