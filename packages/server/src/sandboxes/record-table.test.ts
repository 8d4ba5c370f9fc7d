import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import { RecordTable } from './record-table.ts';
import type { ClockOffset, SandboxRecord, SandboxStore } from './sandbox-record.ts';

const creating = { id: 'one', state: 'creating' } as SandboxRecord;
const running = { id: 'one', state: 'running' } as SandboxRecord;
let stored: string[];
let isFull: boolean;
let found: SandboxRecord[];
let clock: ClockOffset | undefined;
let table: RecordTable;

beforeEach(() => {
  stored = [];
  isFull = false;
  [found, clock] = [[], undefined];
  const write = (what: string): void => {
    if (isFull) throw new Error('database or disk is full');
    stored.push(what);
  };
  const store: SandboxStore = {
    insert: ({ state }) => write(`insert ${state}`),
    update: ({ state }) => write(`update ${state}`),
    delete: (id) => write(`delete ${id}`),
    all: () => found,
    clockOffset: () => clock,
    shiftTimes: (by, { ms }) => write(`shift ${by} to ${ms}`),
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

test('what runs keeps the time that it has left when the wall clock is set while nobody looks', () => {
  table.load({ bootId: 'first', ms: 5000 });
  clock = { bootId: 'first', ms: 5000 };
  table.load({ bootId: 'first', ms: 5400 });
  table.load({ bootId: 'first', ms: 65_000 });
  table.load({ bootId: 'second', ms: 900_000 });
  assert.deepEqual(stored, ['shift 0 to 5000', 'shift 60000 to 65000', 'shift 0 to 900000']);
});

test('start and end of what runs move with the wall clock, and of nothing else', () => {
  const times = { startedAt: 1000, endAt: 2000 };
  found = [
    { id: 'one', state: 'running', ...times },
    { id: 'two', state: 'paused', ...times },
  ] as SandboxRecord[];
  table.load({ bootId: 'first', ms: 0 });
  table.shiftTimes(500, { bootId: 'first', ms: 500 });
  const left = table.values().map(({ startedAt, endAt }) => [startedAt, endAt]);
  assert.deepEqual(left, [
    [1500, 2500],
    [1000, 2000],
  ]);
  isFull = true;
  assert.throws(() => table.shiftTimes(500, { bootId: 'first', ms: 1000 }));
  assert.equal(table.get('one')!.endAt, 2500);
});
