// The `e2b` command of the npm package @e2b/cli, as its users type it, with nothing set but the environment.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Sandbox } from 'e2b';
import { runtimes } from '../support/machine.ts';
import { SandportServer } from '../support/sandport-server.ts';
import { waitFor } from '../support/wait-for.ts';

const E2B = fileURLToPath(new URL('../../node_modules/.bin/e2b', import.meta.url));
const LONGEST_MS = 120_000;
/** The one that keeps memory, where it takes part. */
const runtime = runtimes.find((name) => name === 'runsc') ?? runtimes[0]!;

interface Outcome {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

describe(`the command "e2b" under ${runtime}`, () => {
  let server: SandportServer;
  let id: string;
  let environment: NodeJS.ProcessEnv;
  const home = mkdtempDisposable(join(tmpdir(), 'sandport-e2b-home-'));

  before(async () => {
    server = await SandportServer.start(runtime);
    const { PATH } = process.env;
    // A home without a login, and no look for newer versions.
    environment = { PATH, HOME: (await home).path, NO_UPDATE_NOTIFIER: '1', ...server.environment };
    id = (await e2b(['sandbox', 'create', '--detach', 'base'])).stdout.trim();
  });
  after(async () => {
    await (await home).remove();
    assert.deepEqual(await server.stop(), []);
  });

  function run(program: string, args: readonly string[], input = '', until?: RegExp): Promise<Outcome> {
    const child = spawn(program, args, { env: environment, timeout: LONGEST_MS });
    let stdout = '';
    let stderr = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text;
      if (until?.test(stdout)) child.kill();
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
    child.stdin.end(input);
    return new Promise((resolve, reject) => {
      child.on('error', reject);
      child.on('close', (code) => resolve({ code, stdout, stderr }));
    });
  }

  async function e2b(args: readonly string[], input?: string): Promise<Outcome> {
    const outcome = await run(E2B, args, input);
    assert.equal(outcome.code, 0, `e2b ${args.join(' ')}: ${outcome.stderr}${outcome.stdout}`);
    return outcome;
  }

  test('create prints an ID, list and info tell what there is', async () => {
    assert.match(id, /^i[a-z0-9]{20}$/);
    const listed = JSON.parse((await e2b(['sandbox', 'list', '--format', 'json'])).stdout) as object[];
    assert.deepEqual(
      listed.map((one) => ({ ...one, startedAt: 0, endAt: 0, envdVersion: 0 })),
      [
        {
          sandboxId: id,
          templateId: 'base',
          name: 'base',
          metadata: {},
          startedAt: 0,
          endAt: 0,
          state: 'running',
          cpuCount: 2,
          memoryMB: 1024,
          envdVersion: 0,
          volumeMounts: [],
        },
      ],
    );
    assert.match((await e2b(['sandbox', 'info', id])).stdout, /State: running.+Lifecycle:.+"onTimeout": "kill"/s);
  });

  test('exec passes on both outputs, the input, options and the exit code', async () => {
    const script = 'id -un; pwd; echo $A; echo wrong >&2; exit 3';
    const options = ['--user', 'root', '--cwd', '/tmp', '--env', 'A=b'];
    const { code, stdout, stderr } = await run(E2B, ['sandbox', 'exec', ...options, id, 'sh', '-c', script]);
    assert.deepEqual([code, stdout, stderr.split('\n')[0]], [3, 'root\n/tmp\nb\n', 'wrong']);
    assert.equal((await e2b(['sandbox', 'exec', id, 'cat'], 'from outside\n')).stdout, 'from outside\n');
    assert.match((await e2b(['sandbox', 'exec', '--background', id, 'sleep', '600'])).stderr, /^\d+\s*$/);
    await waitFor('it runs', async () => {
      const { stdout } = await run(E2B, ['sandbox', 'exec', id, 'pgrep', '-c', '-x', 'sleep']);
      return stdout === '1\n';
    });
  });

  test('connect and create open a terminal', async () => {
    for (const [command, what] of [
      [`connect ${id}`, id],
      ['create base', 'base'],
    ]) {
      const typed = `script --quiet --return --command "${E2B} sandbox ${command}" /dev/null`;
      // The terminal is typed into once its prompt is there, as the command drops what comes before.
      const outcome = await inTerminal(typed, ['echo sum-$((40+2))\n', 'exit\n']);
      assert.match(outcome, new RegExp(`Terminal connecting to .*${what}.*sum-42`, 's'));
    }
    await waitFor(
      'what was created for a terminal has ended with it',
      async () => (await Sandbox.list(server.options).nextItems()).length === 1,
    );
  });

  /** Types each line when a prompt waits for it. */
  async function inTerminal(command: string, lines: readonly string[]): Promise<string> {
    const child = spawn('sh', ['-c', `exec ${command}`], { env: { ...environment, TERM: 'dumb' } });
    const closed = new Promise<void>((resolve) => child.once('close', () => resolve()));
    let seen = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => (seen += text));
    try {
      for (const [index, line] of lines.entries()) {
        await waitFor(`prompt ${index + 1} in ${seen}`, () => seen.split('$ ').length > index + 1, LONGEST_MS);
        // The echo of a line has a "$ " of its own only if the line has.
        child.stdin.write(line);
      }
      await closed;
    } finally {
      child.kill('SIGKILL');
    }
    return seen;
  }

  test('metrics and logs tell what it uses and what ran in it, also as it comes', async () => {
    assert.match((await e2b(['sandbox', 'metrics', id])).stdout, /CPU: .+ 2 Cores \| Memory: .+ 1024 +MiB/);
    const { stdout } = await e2b(['sandbox', 'logs', '--format', 'json', id]);
    const lines = stdout
      .split('\n')
      .filter((line) => line.startsWith('{'))
      .map((line) => JSON.parse(line) as { message: string; cmd?: string; level: string });
    assert(lines.some(({ message }) => message === 'sandbox started'));
    assert(lines.some(({ level, cmd }) => level === 'warn' && cmd?.includes('exit 3')));
    const following = run(E2B, ['sandbox', 'logs', '--follow', id], '', /said while followed/);
    await e2b(['sandbox', 'exec', id, 'echo', 'said while followed']);
    assert.match((await following).stdout, /said while followed/);
  });

  test('pause and resume keep what runs', {
    skip: runtime !== 'runsc' && 'needs a runtime that keeps memory',
  }, async () => {
    assert.match((await e2b(['sandbox', 'pause', id])).stdout, /has been paused/);
    assert.match((await e2b(['sandbox', 'pause', id])).stdout, /is already paused/);
    assert.match((await e2b(['sandbox', 'list', '--state', 'paused'])).stdout, new RegExp(`${id} .+ Paused `));
    assert.match((await e2b(['sandbox', 'resume', id])).stdout, /has been resumed/);
    assert.equal((await e2b(['sandbox', 'exec', id, 'pgrep', '-c', '-x', 'sleep'])).stdout, '1\n');
  });

  test('snapshots are made, listed and deleted', {
    skip: runtime !== 'runsc' && 'needs a runtime that keeps memory',
  }, async () => {
    const { stdout } = await e2b(['sandbox', 'snapshot', 'create', id]);
    const snapshot = /Created snapshot (\S+) from/.exec(stdout)?.[1];
    assert(snapshot, stdout);
    assert((await e2b(['sandbox', 'snapshot', 'list'])).stdout.includes(snapshot));
    assert.match((await e2b(['sandbox', 'snapshot', 'delete', snapshot])).stdout, /has been deleted/);
    assert(!(await e2b(['sandbox', 'snapshot', 'list'])).stdout.includes(snapshot));
  });

  test('kill ends it, and says who is not there', async () => {
    assert.match((await e2b(['sandbox', 'kill', 'nosuch'])).stderr, /nosuch wasn't found/);
    assert.match((await e2b(['sandbox', 'kill', id])).stdout, /has been killed/);
    assert.match((await e2b(['sandbox', 'list'])).stdout, /No sandboxes found/);
    const gone = await run(E2B, ['sandbox', 'info', id]);
    assert.deepEqual([gone.code, /wasn't found/.test(gone.stdout + gone.stderr)], [1, true]);
  });
});
