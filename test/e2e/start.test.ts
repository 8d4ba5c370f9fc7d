// What a person types: start, demo, doctor.
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readFile, rm, symlink } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { freePort, leftovers, runtimes } from '../support/machine.ts';
import { purge } from '../support/purge.ts';
import { waitFor } from '../support/wait-for.ts';

const CLI = fileURLToPath(new URL('../../packages/cli/src/main.js', import.meta.url));
const LIMIT_MS = 120_000;

interface Run {
  readonly child: ChildProcess;
  output: string;
}

let data: string;
const running = new Set<ChildProcess>();

beforeEach(async () => {
  data = await mkdtemp(join(tmpdir(), 'sandport-start-'));
});

afterEach(async () => {
  for (const child of running) child.kill('SIGKILL');
  running.clear();
  const identity = await instance().catch(() => undefined);
  if (identity !== undefined) purge(identity, data);
  await rm(data, { recursive: true, force: true });
});

function sandport(args: readonly string[], environment: Record<string, string> = {}): Run {
  const child = spawn(process.execPath, [CLI, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...environment },
    timeout: LIMIT_MS,
  });
  const run: Run = { child, output: '' };
  for (const stream of [child.stdout!, child.stderr!]) stream.on('data', (chunk: Buffer) => (run.output += chunk));
  running.add(child);
  return run;
}

async function ended({ child }: Run): Promise<number | null> {
  if (child.exitCode === null && child.signalCode === null) await once(child, 'close');
  running.delete(child);
  return child.exitCode;
}

async function listenArguments(): Promise<string[]> {
  const port = await freePort();
  return ['--listen', `127.0.0.1:${port}`, '--listen', `[::1]:${port}`];
}

async function instance(): Promise<string> {
  return (JSON.parse(await readFile(join(data, 'identity.json'), 'utf8')) as { instance: string }).instance;
}

for (const runtime of runtimes) {
  describe(`start under ${runtime}`, () => {
    test('prints a public URL, what it answered, the API and the next step, and ends everything at Ctrl-C', async () => {
      const run = sandport(['start', '--data', data, '--runtime', runtime, ...(await listenArguments())]);
      await waitFor('it has printed all', () => run.output.includes('Ctrl-C stops'), LIMIT_MS);
      const url = /^ {2}(https:\/\/3000-[a-z0-9]+\.sandport\.localhost:\d+)$/m.exec(run.output)?.[1];
      assert(url !== undefined, run.output);
      assert.match(run.output, /answered 200 after \d+ ms/);
      assert.match(run.output, /Directory listing for/);
      assert.match(run.output, /API +https:\/\/api\.sandport\.localhost:\d+/);
      assert(run.output.includes(`eval "$(npx sandport env --data ${data})"`));
      run.child.kill('SIGINT');
      assert.equal(await ended(run), 0);
      assert.deepEqual(leftovers(await instance(), data), []);
    });

    test('a signal in the midst of the start leaves nothing', async () => {
      const run = sandport(['start', '--data', data, '--runtime', runtime, ...(await listenArguments())]);
      await waitFor('it has begun', async () => (await instance()) !== '');
      run.child.kill('SIGTERM');
      assert.equal(await ended(run), 0);
      assert.deepEqual(leftovers(await instance(), data), []);
    });
  });
}

test('demo runs every example against a server of its own, and ends it', async () => {
  const run = sandport(['demo', '--data', data, '--runtime', runtimes.at(-1)!, ...(await listenArguments())]);
  assert.equal(await ended(run), 0, run.output);
  assert.equal(run.output.match(/did what it promises/g)?.length, 5);
  assert.deepEqual(leftovers(await instance(), data), []);
});

test('doctor finds this machine good', async () => {
  const run = sandport(['doctor', '--data', data, ...(await listenArguments())]);
  assert.equal(await ended(run), 0, run.output);
  for (const name of [
    'root',
    'runtime',
    'systrap',
    'namespaces',
    'packet filter',
    'control groups',
    'ports',
    'name resolution',
    'disk',
  ]) {
    assert.match(run.output, new RegExp(`^ok +${name}: `, 'm'));
  }
});

test('doctor names what is missing and what mends it, and up refuses with the same words', async () => {
  // A PATH without nft and without the runtime.
  const programs = join(data, 'programs');
  await mkdir(programs);
  for (const name of ['ip', 'mount', 'unshare', 'nsenter', 'sysctl', 'mkfs.ext4', 'e2fsck', 'fsfreeze', 'sh', 'true']) {
    await symlink(name === 'sh' || name === 'true' ? `/bin/${name}` : await whereIs(name), join(programs, name));
  }
  const args = ['--data', data, ...(await listenArguments())];
  const doctor = sandport(['doctor', ...args], { PATH: programs });
  assert.equal(await ended(doctor), 1);
  assert.match(doctor.output, /BAD +runtime: runsc is not installed or does not run\n +mend it with: npm run setup/);
  assert.match(doctor.output, /BAD +programs: not found: nft\n +mend it with: apt-get install nftables/);
  const up = sandport(['up', ...args], { PATH: programs });
  assert.equal(await ended(up), 1);
  assert.match(up.output, /runtime: runsc is not installed or does not run\n +mend it with: npm run setup/);
  assert.match(up.output, /programs: not found: nft\n +mend it with: apt-get install nftables/);
});

test('a port that somebody else has is named, and so are options that cannot be right', async () => {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  const taken = sandport(['up', '--data', data, '--listen', `127.0.0.1:${port}`]);
  assert.equal(await ended(taken), 1);
  assert.match(taken.output, new RegExp(`127\\.0\\.0\\.1:${port} cannot be used \\(EADDRINUSE\\)`));
  server.close();
  for (const [option, value] of [
    ['--listen', 'nowhere'],
    ['--listen', '127.0.0.1:70000'],
    ['--domain', 'onelabel'],
    ['--domain', 'a b.c'],
    ['--runtime', 'docker'],
    ['--gateways', '0'],
  ] as const) {
    const run = sandport(['up', '--data', data, option, value]);
    assert.equal(await ended(run), 1);
    assert.match(
      run.output,
      new RegExp(`sandport: .*${option} is "${value.replaceAll('.', '\\.')}"; expected`),
      `${option} ${value}`,
    );
  }
});

async function whereIs(name: string): Promise<string> {
  const child = spawn('sh', ['-c', 'command -v "$1"', 'sh', name], { stdio: ['ignore', 'pipe', 'ignore'] });
  let path = '';
  child.stdout.on('data', (chunk: Buffer) => (path += chunk));
  await once(child, 'close');
  return path.trim();
}
