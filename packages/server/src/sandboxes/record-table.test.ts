import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import { RecordTable } from './record-table.ts';
import type { SandboxRecord, SandboxStore } from './sandbox-record.ts';

const creating = { id: 'one', state: 'creating' } as SandboxRecord;
const running = { id: 'one', state: 'running' } as SandboxRecord;
let stored: string[];
let isFull: boolean;
let table: RecordTable;

beforeEach(() => {
  stored = [];
  isFull = false;
  const write = (what: string): void => {
    if (isFull) throw new Error('database or disk is full');
    stored.push(what);
  };
  const store: SandboxStore = {
    insert: ({ state }) => write(`insert ${state}`),
    update: ({ state }) => write(`update ${state}`),
    delete: (id) => write(`delete ${id}`),
    all: () => [],
  };
  table = new RecordTable(
    store,
    () => {},
    () => stored.push('failed'),
  );
});

test('a creation is stored when it runs, and not before', () => {
  table.begin(creating);
  assert.equal(table.get('one'), creating);
  assert.deepEqual(stored, []);
  table.update(running);
  table.update(running);
  assert.deepEqual(stored, ['insert running', 'update running']);
});

test('a creation that comes to nothing leaves the store alone', () => {
  table.begin(creating);
  table.forget('one');
  assert.deepEqual([table.get('one'), stored], [undefined, []]);
});

test('a creation that the store refuses is still a creation', () => {
  table.begin(creating);
  isFull = true;
  assert.throws(() => table.update(running), /full/);
  assert.equal(table.get('one'), creating);
  table.forget('one');
  assert.deepEqual(stored, []);
  isFull = false;
  table.begin(creating);
  table.update(running);
  assert.deepEqual(stored, ['insert running']);
});
