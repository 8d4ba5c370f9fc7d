import assert from 'node:assert/strict';
import { mkdtempDisposable, open, readdir, readFile, realpath } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { CommandError, runCommand } from './run-command.ts';

async function failure(promise: Promise<string>): Promise<CommandError> {
  const error = await promise.catch((thrown: unknown) => thrown);
  assert(error instanceof CommandError, String(error));
  return error;
}

test('the output of a program is returned as it is, without what it complains of', async () => {
  assert.equal(await runCommand('sh', ['-c', 'echo "é "; echo no >&2']), 'é \n');
});

test('arguments reach the program as they are: there is no shell', async () => {
  const odd = ['$(id)', '; exit 1', '', '\'"\n'];
  assert.equal(await runCommand('printf', ['%s|', ...odd]), odd.map((argument) => `${argument}|`).join(''));
});

test('input is given whole and then ended; without input a program reads its end at once', async () => {
  const input = 'é'.repeat(300_000);
  assert.equal(await runCommand('cat', [], { input }), input);
  assert.equal(await runCommand('cat', []), '');
});

test('a program that does not read its input is judged by its exit code', async () => {
  assert.equal(await runCommand('true', [], { input: 'x'.repeat(1_000_000) }), '');
  assert.equal((await failure(runCommand('false', [], { input: 'x'.repeat(1_000_000) }))).exitCode, 1);
});

test('a failure says which program, how it ended, and the end of what it complained of', async () => {
  const long = await failure(runCommand('sh', ['-c', 'echo unwanted; seq 1 10000 >&2; echo the reason >&2; exit 3']));
  assert.equal(long.exitCode, 3);
  assert.match(long.message, /^sh -c ended with code 3: /);
  assert.match(long.message, /9999\n10000\nthe reason$/);
  assert(long.message.length < 2100 && !long.message.includes('unwanted'));
  const signalled = await failure(runCommand('sh', ['-c', 'kill -TERM $$']));
  assert.deepEqual([signalled.exitCode, signalled.message], [null, 'sh -c was ended by SIGTERM']);
});

test('a program that is not there is named', async () => {
  const error = await failure(runCommand('/nonexistent/program', []));
  assert.match(error.message, /^\/nonexistent\/program could not be run: .*ENOENT/);
  assert.equal(error.exitCode, null);
});

test('output beyond what is kept is read and dropped, so that the program comes to its end', async () => {
  const output = await runCommand('sh', ['-c', 'head -c 20000000 /dev/zero; head -c 20000000 /dev/zero >&2']);
  assert(output.length >= 1024 * 1024 && output.length < 2 * 1024 * 1024, `${output.length}`);
});

test('a program that takes too long is ended, with all that it said before', async () => {
  const error = await failure(runCommand('sh', ['-c', 'echo waiting >&2; exec sleep 60'], { timeoutMs: 2000 }));
  assert.deepEqual([error.exitCode, error.message], [null, 'sh -c took too long: waiting']);
});

test('the time limit holds also for children that keep the outputs open', { timeout: 10_000 }, async () => {
  const start = performance.now();
  // The child gives up its hold after a while, so that nothing outlives the test.
  await failure(runCommand('sh', ['-c', 'sleep 5 & sleep 60'], { timeoutMs: 100 }));
  assert(performance.now() - start < 4000);
});

test('many at once end each in its own way, and leave no process and no descriptor', async () => {
  const codes = Array.from({ length: 60 }, (_, index) => index % 3);
  const before = (await readdir('/proc/self/fd')).length;
  const ends = await Promise.all(
    codes.map((code) =>
      runCommand('sh', ['-c', `echo ${code}; exit ${code}`]).catch((error: CommandError) => error.exitCode),
    ),
  );
  assert.deepEqual(
    ends,
    codes.map((code) => (code === 0 ? '0\n' : code)),
  );
  assert.equal((await readdir('/proc/self/fd')).length, before);
  assert.equal(await readFile(`/proc/${process.pid}/task/${process.pid}/children`, 'utf8'), '');
});

test('environment and directory are those that are given', async () => {
  await using root = await mkdtempDisposable(join(tmpdir(), 'sandport-run-'));
  const output = await runCommand('/bin/sh', ['-c', 'echo "$A-$HOME"; pwd'], { env: { A: '1' }, cwd: root.path });
  assert.equal(output, `1-\n${await realpath(root.path)}\n`);
});

test('a program whose children live on is not waited for when its output goes to a file', async () => {
  await using root = await mkdtempDisposable(join(tmpdir(), 'sandport-run-'));
  const path = join(root.path, 'log');
  const file = await open(path, 'w');
  const start = performance.now();
  try {
    assert.equal(await runCommand('sh', ['-c', 'echo out; echo err >&2; sleep 5 &'], { outputFd: file.fd }), '');
  } finally {
    await file.close();
  }
  assert(performance.now() - start < 4000);
  assert.equal(await readFile(path, 'utf8'), 'out\nerr\n');
});
