// Every program in examples/ does what it promises: as it is, and with the official client in the import.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { globSync } from 'node:fs';
import { mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Sandbox } from 'e2b';
import { runtimes } from '../support/machine.ts';
import { SandportServer } from '../support/sandport-server.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));
const examples = globSync('examples/*.ts', { cwd: root }).sort();
const OURS = "from 'sandport'";
const LIMIT_MS = 90_000;

// What they show is the same under each: `sandport demo` runs them under the other one.
for (const runtime of runtimes.slice(0, 1)) {
  describe(`examples under ${runtime}`, () => {
    let server: SandportServer;
    let directory: string;

    before(async () => {
      server = await SandportServer.start(runtime);
      directory = await mkdtemp(join(tmpdir(), 'sandport-examples-'));
      // Programs outside of the repository find the same packages.
      await symlink(join(root, 'node_modules'), join(directory, 'node_modules'));
    });
    after(async () => {
      await rm(directory, { recursive: true, force: true });
      assert.deepEqual(await server.stop(), []);
    });

    for (const example of examples) {
      for (const client of ['sandport', 'e2b']) {
        test(`${basename(example)} with ${client}`, async () => {
          const source = await readFile(join(root, example), 'utf8');
          assert.equal(source.split(OURS).length, 2, 'the program imports the client once');
          const file = join(directory, `${client}-${basename(example)}`);
          await writeFile(file, source.replace(OURS, `from '${client}'`));
          const { code, output } = await run(file, server.environment);
          assert.equal(code, 0, output);
          assert.notEqual(output, '');
          assert.deepEqual(await Sandbox.list(server.options).nextItems(), [], 'it ended its sandbox');
        });
      }
    }
  });
}

test('there are the programs of the page that Sandport was made from', () => {
  const names = examples.map((example) => basename(example, '.ts'));
  for (const name of [
    'public-url',
    'connect-to-server-inside',
    'mask-request-host',
    'restrict-public-access',
    'switch-internet-off',
  ]) {
    assert(names.includes(name), name);
  }
});

function run(file: string, environment: Record<string, string>): Promise<{ code: number | null; output: string }> {
  const child = spawn(process.execPath, [file], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...environment },
    timeout: LIMIT_MS,
  });
  let output = '';
  child.stdout.on('data', (chunk: Buffer) => (output += chunk));
  child.stderr.on('data', (chunk: Buffer) => (output += chunk));
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code) => resolve({ code, output }));
  });
}
