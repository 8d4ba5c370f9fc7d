import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempDisposable, readdir, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { test } from 'node:test';
import { openDatabase } from './database.ts';
import { migrations } from './migrations.ts';

const prefix = join(tmpdir(), 'sandport-store-');
const module = new URL('database.ts', import.meta.url).href;

function version(database: DatabaseSync): unknown {
  return database.prepare('PRAGMA user_version').get()?.user_version;
}

test('a new database has the newest version, and is left as it is when opened again', async () => {
  await using root = await mkdtempDisposable(prefix);
  const path = join(root.path, 'x.db');
  const first = openDatabase(path);
  assert.equal(version(first), migrations.length);
  first.exec("INSERT INTO api_keys (id, name, sha256, created_at) VALUES ('1', 'one', x'00', 5)");
  first.close();
  const again = openDatabase(path);
  assert.equal(version(again), migrations.length);
  assert.equal(again.prepare('SELECT name FROM api_keys').get()?.name, 'one');
  again.close();
});

test('what a start that was cut off has left does not stop the next one', async () => {
  await using root = await mkdtempDisposable(prefix);
  const path = join(root.path, 'x.db');
  const first = openDatabase(path);
  first.exec('CREATE TABLE reserve (bytes BLOB) STRICT');
  first.close();
  const again = openDatabase(path);
  assert.equal(again.prepare("SELECT name FROM sqlite_master WHERE name = 'reserve'").get(), undefined);
  again.close();
});

test('what a commit has said is durable', async () => {
  await using root = await mkdtempDisposable(prefix);
  const database = openDatabase(join(root.path, 'x.db'));
  // 2 is FULL (sqlite.org/pragma.html#pragma_synchronous).
  assert.equal(database.prepare('PRAGMA synchronous').get()?.synchronous, 2);
  assert.equal(database.prepare('PRAGMA journal_mode').get()?.journal_mode, 'wal');
  database.close();
});

test('a second opening is refused as long as the first lasts, in the same process', async () => {
  await using root = await mkdtempDisposable(prefix);
  const path = join(root.path, 'x.db');
  const first = openDatabase(path);
  assert.throws(() => openDatabase(path), { code: 'machine_not_ready', message: /another Sandport/ });
  first.close();
  openDatabase(path).close();
});

test('a second opening is refused as long as another process has it, and not after that was killed', async (context) => {
  await using root = await mkdtempDisposable(prefix);
  const path = join(root.path, 'x.db');
  const program = `
    const { openDatabase } = await import(${JSON.stringify(module)});
    globalThis.held = openDatabase(${JSON.stringify(path)});
    console.log('open');
    setInterval(() => {}, 1000);
  `;
  const holder = spawn(process.execPath, ['--input-type=module', '--eval', program], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  context.after(() => holder.kill('SIGKILL'));
  const [said] = (await once(holder.stdout, 'data')) as [Buffer];
  assert.equal(String(said), 'open\n');
  assert.throws(() => openDatabase(path), { code: 'machine_not_ready', message: /another Sandport/ });
  holder.kill('SIGKILL');
  await once(holder, 'exit');
  openDatabase(path).close();
});

test('a database of a newer Sandport is refused unchanged, and not held', async () => {
  await using root = await mkdtempDisposable(prefix);
  const path = join(root.path, 'x.db');
  const newer = new DatabaseSync(path);
  newer.exec(`PRAGMA user_version = ${migrations.length + 1}`);
  newer.close();
  assert.throws(() => openDatabase(path), { code: 'machine_not_ready', message: /newer Sandport/ });
  const free = new DatabaseSync(path);
  free.exec('BEGIN EXCLUSIVE; COMMIT');
  assert.equal(version(free), migrations.length + 1);
  free.close();
});

test('a file that is no database is an error of its own', async () => {
  await using root = await mkdtempDisposable(prefix);
  const path = join(root.path, 'x.db');
  await writeFile(path, 'not a database '.repeat(100));
  assert.throws(() => openDatabase(path), /not a database/);
});

test('nobody but the owner reads the database or what it writes beside it', async () => {
  await using root = await mkdtempDisposable(prefix);
  const path = join(root.path, 'x.db');
  await writeFile(path, '', { mode: 0o644 });
  const database = openDatabase(path);
  database.exec("INSERT INTO api_keys (id, name, sha256, created_at) VALUES ('1', 'one', x'00', 5)");
  const names = await readdir(root.path);
  assert(names.length > 1, `${names}`);
  for (const name of names) assert.equal((await stat(join(root.path, name))).mode & 0o777, 0o600, name);
  database.close();
});
