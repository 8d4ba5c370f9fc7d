import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { gzipSync } from 'node:zlib';
import { build } from 'esbuild';
import { AgentClient } from './testing/agent-client.ts';
import { initOf, listeningPort, makeRoot } from './testing/agent-process.ts';
import { until } from './testing/until.ts';

const MAIN = fileURLToPath(new URL('main.ts', import.meta.url));
let directory: string;
before(async () => {
  directory = mkdtempSync(join(tmpdir(), 'sandport-bundle-'));
  const { errors, warnings } = await build({
    entryPoints: [MAIN],
    bundle: true,
    platform: 'node',
    format: 'cjs',
    define: { 'import.meta.url': JSON.stringify(pathToFileURL(join(directory, 'agent.js'))) },
    minify: true,
    outfile: join(directory, 'agent.js'),
    logLevel: 'silent',
  });
  assert.deepEqual([errors, warnings], [[], []]);
});
after(() => rmSync(directory, { recursive: true, force: true }));

/** What a command run by the bundled agent prints. */
async function printedBy(command: string): Promise<string> {
  using root = makeRoot();
  const args = [join(directory, 'agent.js'), '--port', '0', '--host', '127.0.0.1', '--root', root.path];
  const child: ChildProcess = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'ignore'], env: {} });
  try {
    const url = `http://127.0.0.1:${await listeningPort(child)}`;
    const init = await fetch(`${url}/init`, { method: 'POST', body: JSON.stringify(initOf(root.path)) });
    assert.equal(init.status, 204);
    const { stdout, stderr, end } = await new AgentClient(url).shell(command, { user: 'user' });
    assert.equal(end?.status, 'exit status 0', stderr);
    // What is imported lazily is in the bundle.
    assert.equal((await fetch(`${url}/files?path=/etc/passwd`)).status, 200);
    const binary = { 'content-type': 'application/proto', 'content-encoding': 'gzip' };
    const list = { method: 'POST', headers: binary, body: gzipSync('') };
    assert.equal((await fetch(`${url}/process.Process/List`, list)).status, 200);
    return stdout;
  } finally {
    child.kill('SIGKILL');
    await once(child, 'exit');
  }
}

test('the bundle runs from its one file, in an empty environment, without the addon', async () => {
  assert.equal(await printedBy('id -u; id -G'), '1000\n1000\n');
});

test('with the addon beside it commands have all groups and real pipes', async () => {
  const platform = `linux-${process.arch}`;
  const addon = dirname(createRequire(MAIN).resolve(`@koromix/koffi-${platform}`));
  copyFileSync(join(addon, platform.replace('-', '_'), 'koffi.node'), join(directory, 'koffi.node'));
  assert.equal(await printedBy('id -u; id -G; echo open > /dev/stdout'), '1000\n1000 27 998\nopen\n');
});

test('an agent that has only been initialised has not loaded what costs memory in every sandbox', async () => {
  using root = makeRoot();
  const list = join(directory, 'modules.json');
  const report = join(directory, 'report.cjs');
  // What Node itself loads to listen on SIGUSR2 is nothing of these.
  writeFileSync(
    report,
    `process.on('SIGUSR2', () => require('node:fs').writeFileSync(${JSON.stringify(list)}, JSON.stringify(process.moduleLoadList)));`,
  );
  const options = ['--port', '0', '--host', '127.0.0.1', '--root', root.path];
  const child = spawn(process.execPath, ['--require', report, join(directory, 'agent.js'), ...options], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: {},
  });
  try {
    const url = `http://127.0.0.1:${await listeningPort(child)}`;
    const init = await fetch(`${url}/init`, { method: 'POST', body: JSON.stringify(initOf(root.path)) });
    assert.equal(init.status, 204);
    child.kill('SIGUSR2');
    const modules = await until('the list is written', () => {
      const text = existsSync(list) ? readFileSync(list, 'utf8') : '';
      return text.endsWith(']') && (JSON.parse(text) as string[]);
    });
    assert.ok(modules.includes('NativeModule http'));
    for (const name of ['crypto', 'fs/promises', 'zlib', 'tty', 'https', 'http2']) {
      assert.ok(!modules.includes(`NativeModule ${name}`), name);
    }
  } finally {
    child.kill('SIGKILL');
    await once(child, 'exit');
  }
});
