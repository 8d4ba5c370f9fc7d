import assert from 'node:assert/strict';
import { mkdtempDisposable, readFile, realpath, stat, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { openDataDirectory } from './data-directory.ts';

const prefix = join(tmpdir(), 'sandport-data-');

async function mode(path: string): Promise<number> {
  return (await stat(path)).mode & 0o777;
}

test('an instance is the same one each time that its directory is opened', async () => {
  await using root = await mkdtempDisposable(prefix);
  const first = await openDataDirectory(join(root.path, 'a/b'));
  const again = await openDataDirectory(join(root.path, 'a/b'));
  assert.equal(again.instance, first.instance);
  assert.deepEqual(again.seed, first.seed);
  assert.match(first.instance, /^[a-z0-9]{6}$/);
  assert.equal(first.seed.length, 32);
});

test('two directories are two instances with two secrets', async () => {
  await using root = await mkdtempDisposable(prefix);
  const one = await openDataDirectory(join(root.path, 'one'));
  const two = await openDataDirectory(join(root.path, 'two'));
  assert.notEqual(one.instance, two.instance);
  assert.notDeepEqual(one.seed, two.seed);
});

test('others may pass through the directory, but read neither its list nor what it holds', async () => {
  await using root = await mkdtempDisposable(prefix);
  const data = await openDataDirectory(join(root.path, 'data'));
  assert.equal(await mode(data.path), 0o711);
  assert.equal(await mode(data.file('identity.json')), 0o600);
  assert.equal(await mode(data.file('logs')), 0o700);
});

test('a directory reached through a link is known by its real path', async () => {
  await using root = await mkdtempDisposable(prefix);
  const data = await openDataDirectory(join(root.path, 'data'));
  await symlink(data.path, join(root.path, 'link'));
  const linked = await openDataDirectory(join(root.path, 'link'));
  assert.equal(linked.path, await realpath(data.path));
  assert.equal(linked.file('x'), join(data.path, 'x'));
});

test('the secret is on disk whole, as hex', async () => {
  await using root = await mkdtempDisposable(prefix);
  const data = await openDataDirectory(root.path);
  const { seed } = JSON.parse(await readFile(data.file('identity.json'), 'utf8')) as { seed: string };
  assert.equal(seed, Buffer.from(data.seed).toString('hex'));
});
