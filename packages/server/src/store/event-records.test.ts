import assert from 'node:assert/strict';
import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, test } from 'node:test';
import type { EventKind, LifecycleEvent } from '../events/lifecycle-event.ts';
import { openDatabase } from './database.ts';
import { EventRecords } from './event-records.ts';
import { migrations } from './migrations.ts';

const NOON = 1_800_000_000_000;

let root: { readonly path: string; [Symbol.asyncDispose](): Promise<void> };
let database: DatabaseSync;

beforeEach(async () => {
  root = await mkdtempDisposable(join(tmpdir(), 'sandport-events-'));
  database = openDatabase(join(root.path, 'x.db'));
});
afterEach(async () => {
  database.close();
  await root[Symbol.asyncDispose]();
});

function event(n: number, kind: EventKind = 'created', sandboxId = 'i1', at = NOON + n): LifecycleEvent {
  const data = { sandbox_metadata: { "it's": '"quoted"; DROP TABLE events' } };
  return { id: `e${n}`, kind, sandboxId, executionId: 'g1', templateId: 'base', at, data };
}

const all = { kinds: [], limit: 100, offset: 0, order: 'asc' } as const;
const ids = (events: readonly LifecycleEvent[]): string[] => events.map(({ id }) => id);

test('what is stored is there again after the database was closed, whole and in order', () => {
  new EventRecords(database).insert(event(1));
  new EventRecords(database).insert(event(2, 'killed'));
  database.close();
  database = openDatabase(join(root.path, 'x.db'));
  const events = new EventRecords(database);
  assert.deepEqual(events.list(all), [
    { ...event(1), position: 1 },
    { ...event(2, 'killed'), position: 2 },
  ]);
  assert.equal(events.last, 2);
});

test('a list is of one sandbox, of some kinds, a part, the newest first', () => {
  const events = new EventRecords(database);
  assert.equal(events.last, 0);
  const kinds = ['created', 'paused', 'resumed', 'killed'] as const;
  for (const [n, kind] of kinds.entries()) events.insert(event(n, kind));
  events.insert(event(9, 'created', 'i2'));
  assert.deepEqual(ids(events.list({ ...all, sandboxId: 'i1', order: 'desc' })), ['e3', 'e2', 'e1', 'e0']);
  assert.deepEqual(ids(events.list({ ...all, kinds: ['created', 'killed'] })), ['e0', 'e3', 'e9']);
  assert.deepEqual(ids(events.list({ ...all, limit: 2, offset: 1 })), ['e1', 'e2']);
  assert.deepEqual(ids(events.list({ ...all, sandboxId: 'i3' })), []);
  assert.deepEqual(ids(events.after(3, 10)), ['e3', 'e9']);
  assert.deepEqual(ids(events.after(3, 1)), ['e3']);
});

test('number, bytes and age are bounded, the oldest go first, and no position is given twice', () => {
  const many = { count: 10, bytes: 1e9, ageMs: 1e9 };
  const counted = new EventRecords(database, many);
  for (let n = 1; n <= 100; n++) counted.insert(event(n));
  const left = ids(counted.list(all));
  assert(left.length >= 10 && left.length <= 21, `${left.length}`);
  assert.equal(left.at(-1), 'e100');

  const size = JSON.stringify(event(0).data).length;
  const weighed = new EventRecords(database, { ...many, count: 5, bytes: 3 * size });
  weighed.insert(event(101));
  assert.deepEqual(ids(weighed.list(all)), ['e99', 'e100', 'e101']);

  const aged = new EventRecords(database, { ...many, ageMs: 1000 });
  aged.insert(event(200, 'killed', 'i1', NOON + 10_000));
  assert.deepEqual(ids(aged.list(all)), ['e200']);

  const none = new EventRecords(database, { ...many, ageMs: -1 });
  none.insert(event(201, 'killed', 'i1', NOON + 20_000));
  assert.deepEqual(none.list(all), []);
  assert.equal(none.last, 103);
});

test('a thousand that are too old go step by step, so that no single one is waited for', () => {
  const before = new EventRecords(database);
  for (let n = 0; n < 1000; n++) before.insert(event(n));
  const after = new EventRecords(database, { count: 1e6, bytes: 1e9, ageMs: 1000 });
  const left: number[] = [];
  for (let n = 1000; n < 1010; n++) {
    after.insert(event(n, 'killed', 'i1', NOON + 1e6));
    left.push(after.list({ ...all, limit: 2000 }).length);
  }
  assert.deepEqual(left.slice(0, 5), [745, 490, 235, 4, 5]);
  assert.deepEqual(ids(after.list({ ...all, limit: 1 })), ['e1000']);
});

test('what is left of a database without sizes is weighed as what comes', () => {
  const size = Buffer.byteLength(JSON.stringify(event(0).data));
  const step = migrations.findIndex((sql) => sql.includes('bytes_before'));
  const old = new DatabaseSync(':memory:');
  for (const sql of migrations.slice(0, step)) old.exec(sql);
  for (let n = 1; n <= 4; n++) {
    const { id, kind, sandboxId, executionId, templateId, at, data } = event(n);
    old
      .prepare('INSERT INTO events VALUES (NULL, ?, ?, ?, ?, ?, ?, ?)')
      .run(id, kind, sandboxId, executionId, templateId, at, JSON.stringify(data));
  }
  for (const sql of migrations.slice(step)) old.exec(sql);
  const events = new EventRecords(old, { count: 1e6, bytes: 3 * size, ageMs: 1e9 });
  events.insert(event(5));
  assert.deepEqual(ids(events.list(all)), ['e3', 'e4', 'e5']);
  old.close();
});
