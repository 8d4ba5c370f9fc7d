// Runs all tests: those beside the files and the end-to-end ones. Arguments are file names or node's own test options.
import { spawn } from 'node:child_process';
import { globSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));

if (process.getuid?.() !== 0) {
  console.error('The tests make network namespaces, mounts and cgroups and need root: run "sudo npm test".');
  process.exit(1);
}

const given = process.argv.slice(2);
const named = given.filter((argument) => !argument.startsWith('-'));
const options = given.filter((argument) => argument.startsWith('-'));
const files =
  named.length > 0
    ? named
    : globSync(['scripts/**/*.test.js', 'packages/*/src/**/*.test.ts', 'test/**/*.test.ts'], { cwd: root }).sort();
// Each file is a process, and loads much that the others load too.
const compiled = mkdtempSync(join(tmpdir(), 'sandport-tests-compiled-'));
const child = spawn(
  process.execPath,
  ['--test', '--test-concurrency=2', '--test-timeout=600000', ...options, ...files],
  {
    cwd: root,
    env: { ...process.env, NODE_COMPILE_CACHE: compiled },
    stdio: 'inherit',
  },
);
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => child.kill(signal));
child.on('exit', (code) => {
  rmSync(compiled, { recursive: true, force: true });
  process.exitCode = code ?? 1;
});
