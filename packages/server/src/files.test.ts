import assert from 'node:assert/strict';
import { mkdir, mkdtempDisposable, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { readIfThere, writeFileAtomically } from './files.ts';

const prefix = join(tmpdir(), 'sandport-files-');

test('a file that is not there is undefined; one that cannot be read is an error', async () => {
  await using root = await mkdtempDisposable(prefix);
  assert.equal(await readIfThere(join(root.path, 'none')), undefined);
  await writeFile(join(root.path, 'some'), 'é');
  assert.equal(await readIfThere(join(root.path, 'some')), 'é');
  await assert.rejects(readIfThere(root.path), { code: 'EISDIR' });
});

test('a file is replaced whole, with its new mode, and nothing is left beside it', async () => {
  await using root = await mkdtempDisposable(prefix);
  const path = join(root.path, 'x');
  await writeFile(path, 'a longer text than the new one', { mode: 0o644 });
  await writeFileAtomically(path, Buffer.from('new'), 0o600);
  assert.equal(await readFile(path, 'utf8'), 'new');
  assert.equal((await stat(path)).mode & 0o777, 0o600);
  assert.deepEqual(await readdir(root.path), ['x']);
});

test('a reader sees one of the contents, never a part, while many are written', async () => {
  await using root = await mkdtempDisposable(prefix);
  const path = join(root.path, 'x');
  const contents = Array.from({ length: 10 }, (_, index) => String(index).repeat(200_000));
  await writeFileAtomically(path, contents[0]!, 0o600);
  let writing = true;
  const written = Promise.all(contents.map((content) => writeFileAtomically(path, content, 0o600))).finally(() => {
    writing = false;
  });
  while (writing) assert(contents.includes((await readIfThere(path)) ?? ''));
  await written;
});

test('a file that cannot be replaced leaves nothing behind', async () => {
  await using root = await mkdtempDisposable(prefix);
  await mkdir(join(root.path, 'taken'));
  await assert.rejects(writeFileAtomically(join(root.path, 'taken'), 'x', 0o600), { code: 'EISDIR' });
  assert.deepEqual(await readdir(root.path), ['taken']);
});
