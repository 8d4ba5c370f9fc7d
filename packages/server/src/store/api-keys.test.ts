import assert from 'node:assert/strict';
import { mkdtempDisposable, readdir, readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { ApiKeys } from './api-keys.ts';
import { openDatabase } from './database.ts';

const prefix = join(tmpdir(), 'sandport-keys-');

test('a key is known, also after a restart, and has the form that the official clients check', async () => {
  await using root = await mkdtempDisposable(prefix);
  const path = join(root.path, 'x.db');
  const database = openDatabase(path);
  const keys = new ApiKeys(database);
  const { key } = keys.create('one');
  assert.match(key, /^e2b_[0-9a-f]{40}$/);
  const id = keys.identify(key)?.id;
  assert(id !== undefined);
  database.close();
  const reopened = openDatabase(path);
  assert.equal(new ApiKeys(reopened).identify(key)?.id, id);
  assert.equal(new ApiKeys(reopened).list().length, 1);
  reopened.close();
});

test('each key is another, with an ID of its own', async () => {
  await using root = await mkdtempDisposable(prefix);
  const database = openDatabase(join(root.path, 'x.db'));
  const keys = new ApiKeys(database);
  const made = [keys.create('same name').key, keys.create('same name').key];
  assert.equal(new Set(made).size, 2);
  assert.equal(new Set(made.map((key) => keys.identify(key)?.id)).size, 2);
  assert.equal(keys.list().length, 2);
  database.close();
});

test('what is not a key, or nearly one, is not known', async () => {
  await using root = await mkdtempDisposable(prefix);
  const database = openDatabase(join(root.path, 'x.db'));
  const keys = new ApiKeys(database);
  const { key } = keys.create('one');
  const other = key.endsWith('0') ? '1' : '0';
  for (const wrong of [
    '',
    key.slice(0, -1),
    `${key}0`,
    key.toUpperCase(),
    ` ${key}`,
    `${key}\n`,
    key.slice(0, -1) + other,
  ]) {
    assert.equal(keys.identify(wrong), undefined, JSON.stringify(wrong));
  }
  database.close();
});

test('no file of the database has the key in it, as text or as bytes', async () => {
  await using root = await mkdtempDisposable(prefix);
  const database = openDatabase(join(root.path, 'x.db'));
  const key = new ApiKeys(database).create('a name that is stored').key;
  const secret = key.slice('e2b_'.length);
  const check = async (): Promise<void> => {
    const names = await readdir(root.path);
    const bytes = Buffer.concat(await Promise.all(names.map((name) => readFile(join(root.path, name)))));
    assert(bytes.includes('a name that is stored'), `${names}`);
    assert(!bytes.includes(secret));
    assert(!bytes.includes(Buffer.from(secret, 'hex')));
  };
  await check();
  database.close();
  await check();
});

test('a key has a limit or none, is told from others by its end, and is of no use once it is deleted', async () => {
  await using root = await mkdtempDisposable(prefix);
  const database = openDatabase(join(root.path, 'x.db'));
  const keys = new ApiKeys(database);
  const own = keys.create('own', { manages: true });
  const guest = keys.create('guest', { maxSandboxes: 3 });
  assert.deepEqual(
    keys.list().map(({ name, manages, maxSandboxes }) => [name, manages, maxSandboxes]),
    [
      ['own', true, undefined],
      ['guest', false, 3],
    ],
  );
  assert(guest.key.endsWith(guest.record.ending) && guest.record.ending.length === 4);
  keys.delete(guest.record.id);
  assert.equal(keys.identify(guest.key), undefined);
  assert.equal(keys.get(guest.record.id), undefined);
  assert.equal(keys.identify(own.key)?.id, own.record.id);
  database.close();
});
