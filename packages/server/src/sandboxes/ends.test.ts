import assert from 'node:assert/strict';
import { afterEach, beforeEach, mock, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import type { LifecycleEvent } from '../events/lifecycle-event.ts';
import { Semaphore } from '../semaphore.ts';
import type { Core } from './core.ts';
import { Ends } from './ends.ts';
import { Exclusive } from './exclusive.ts';
import type { Pausing } from './pausing.ts';
import { RecordTable } from './record-table.ts';
import type { RunningSandbox, SandboxRecord, SandboxStore } from './sandbox-record.ts';

const LONGEST_LIFE_MS = 24 * 3600 * 1000;
const RETRY_MS = 30_000;

const sandbox = (id: string, onTimeout: 'kill' | 'pause' = 'kill') =>
  ({
    ...{ id, state: 'running', generation: 'g', createdAt: 0, startedAt: 0, endAt: 1000 },
    spec: {
      ...{ templateId: 'base', alias: 'base', metadata: {}, limits: {}, apiKeyId: 'k1' },
      lifecycle: { onTimeout, autoResume: false, keepMemory: true },
    },
    placement: { container: `c-${id}` },
  }) as unknown as RunningSandbox;

let now: number;
let records: RecordTable;
let exclusive: Exclusive;
let ends: Ends;
let told: LifecycleEvent[];
let due: Map<string, number>;
let logged: string[];
/** Containers whose processes have ended. */
let dead: Set<string>;
let outOfMemory: boolean;
let pause: () => Promise<void>;

function open(...sandboxes: RunningSandbox[]): void {
  const store = {
    all: () => sandboxes,
    clockOffset: () => ({ bootId: 'b', ms: 0 }),
    update: (_record: SandboxRecord, event?: LifecycleEvent) => void (event && told.push(event)),
    delete: () => {},
  } as unknown as SandboxStore;
  records = new RecordTable(
    store,
    () => {},
    () => assert.fail('not stored'),
  );
  records.load({ bootId: 'b', ms: 0 });
  const core = {
    ...{ records, exclusive, now: () => now, isKept: () => false, ending: new AbortController().signal },
    removals: new Semaphore(1),
    host: {
      findEnded: (containers: string[]) => containers.filter((container) => dead.has(container)),
      ranOutOfMemory: () => outOfMemory,
      calmIdle: () => {},
      remove: async () => {},
    },
    routes: { deleteRoute: async () => {} },
    timers: {
      set: (id: string, endAt: number) => due.set(id, endAt),
      has: (id: string) => due.has(id),
      clear: (id: string) => due.delete(id),
      close: () => {},
    },
    log: { event: (name: string) => void logged.push(name) },
  } as unknown as Core;
  const pausing = { pause: () => pause(), removed: async () => {} } as unknown as Pausing;
  ends = new Ends(core, pausing, LONGEST_LIFE_MS);
}

beforeEach(() => {
  mock.timers.enable({ apis: ['setInterval'] });
  exclusive = new Exclusive();
  [now, told, logged, due, dead, outOfMemory] = [1000, [], [], new Map(), new Set(), false];
  pause = async () => assert.fail('no pause is wanted');
});
afterEach(() => {
  ends.stop();
  mock.timers.reset();
});

const reasons = () => told.map(({ sandboxId, data }) => [sandboxId, data.kill_reason]);

/** What the watch does in one second. */
async function second(): Promise<void> {
  mock.timers.tick(1000);
  for (let turns = 0; turns < 5; turns++) await turn();
}

test('a sandbox whose processes have ended is ended, also while another one is being worked on for ever', async () => {
  open(sandbox('stuck'), sandbox('other'), sandbox('later'));
  let waits = 0;
  const { promise, resolve } = Promise.withResolvers<void>();
  const run = exclusive.run.bind(exclusive);
  exclusive.run = (id, task) => {
    if (id === 'stuck') waits++;
    return run(id, task);
  };
  const operation = exclusive.run('stuck', () => promise);
  ends.watch();
  for (const id of ['stuck', 'other']) dead.add(`c-${id}`);
  await second();
  assert.deepEqual(reasons(), [['other', 'exited']]);
  dead.add('c-later');
  outOfMemory = true;
  await second();
  assert.deepEqual(reasons().slice(1), [['later', 'out_of_memory']]);
  await second();
  assert.equal(waits, 2, 'the one that is worked on is waited for once');
  resolve();
  await operation;
  await second();
  assert.deepEqual(reasons().at(-1), ['stuck', 'out_of_memory']);
  await ends.removed();
  assert.equal(logged.includes('sandbox not removed'), false);
});

test('an end that cannot be recorded is tried again, and the others are not held up', async () => {
  open(sandbox('odd'), sandbox('other'));
  const update = records.update.bind(records);
  let failures = 1;
  records.update = ((record: SandboxRecord, event: LifecycleEvent) => {
    if (record.id === 'odd' && failures-- > 0) throw new Error('the disk is full');
    return update(record, event);
  }) as typeof records.update;
  ends.watch();
  for (const id of ['odd', 'other']) dead.add(`c-${id}`);
  await second();
  assert.deepEqual(reasons(), [['other', 'exited']]);
  assert(logged.includes('liveness check failed'));
  await second();
  assert.deepEqual(reasons().at(-1), ['odd', 'exited']);
});

test('a pause at the end time that fails is tried again and told, until the longest life is over', async () => {
  open(sandbox('i1', 'pause'));
  let pauses = 0;
  pause = async () => {
    pauses++;
    throw new Error('the disk is full');
  };
  await ends.onEndTime('i1');
  assert.equal(due.get('i1'), now + RETRY_MS);
  assert.equal(records.get('i1')?.endAt, now + RETRY_MS, 'its owner sees the new end');
  assert.deepEqual(
    told.map(({ kind }) => kind),
    ['updated'],
  );
  assert(logged.includes('pause at the end time failed'));

  now += RETRY_MS;
  due.clear();
  await ends.onEndTime('i1');
  assert.equal(pauses, 2);
  assert.deepEqual(reasons().at(-1), ['i1', undefined], 'it runs on');

  now = LONGEST_LIFE_MS - RETRY_MS + 1;
  due.clear();
  await ends.onEndTime('i1');
  assert.equal(pauses, 3);
  assert.deepEqual(reasons().at(-1), ['i1', 'pause_failed']);
  assert.equal(due.size, 0);
});

test('a failed pause changes nothing of an end that was moved meanwhile', async () => {
  open(sandbox('i1', 'pause'));
  pause = async () => {
    ends.move(records.get('i1') as RunningSandbox, 500_000);
    throw new Error('the disk is full');
  };
  await ends.onEndTime('i1');
  assert.deepEqual([records.get('i1')?.endAt, due.get('i1'), told.length], [500_000, 500_000, 1]);
});
