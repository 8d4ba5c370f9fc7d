import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import { Semaphore } from '../semaphore.ts';
import type { Core } from './core.ts';
import { Exclusive } from './exclusive.ts';
import { Pausing } from './pausing.ts';
import { RecordTable } from './record-table.ts';
import type { RunningSandbox, SandboxRecord, SandboxStore } from './sandbox-record.ts';

const asked = {
  id: 'i1',
  state: 'running',
  endAt: 1000,
  generation: 'first',
  spec: { lifecycle: { autoResume: false }, network: { allowPublicTraffic: true } },
  placement: { address: '198.18.0.4' },
} as unknown as RunningSandbox;

let records: RecordTable;
let core: Core;
let ends: number[];
let happened: string[];
let ending: AbortController;
/** What goes wrong, or happens, at each step; nothing by default. */
let at: {
  room?: () => void;
  write?: () => void;
  store?: (record: SandboxRecord) => void;
  mend?: () => void;
};

beforeEach(() => {
  [ends, happened, at] = [[], [], {}];
  ending = new AbortController();
  const store = {
    all: () => [asked],
    clockOffset: () => undefined,
    shiftTimes: () => {},
    update: (record: SandboxRecord) => {
      at.store?.(record);
      happened.push(`stored ${record.state}`);
    },
  } as unknown as SandboxStore;
  records = new RecordTable(
    store,
    () => {},
    () => happened.push('not stored'),
  );
  records.load({ bootId: 'boot', ms: 0 });
  core = {
    records,
    host: {
      keepsMemory: true,
      assertRoomFor: async () => at.room?.(),
      pause: async () => at.write?.(),
      traffic: async () => [],
      removeSnapshot: async () => void happened.push('snapshot removed'),
      mend: async () => {
        at.mend?.();
        happened.push('mended');
      },
      removePaused: async () => void happened.push('place removed'),
    },
    routes: { setRoute: async ({ held }: { held?: object }) => void happened.push(held ? 'held' : 'routed') },
    tokens: { loopbackTunnel: () => 'token', agentControl: () => 'token' },
    timers: { clear: () => {}, set: (_id: string, endAt: number) => ends.push(endAt) },
    log: { event: () => {} },
    now: () => 0,
    ending: ending.signal,
    exclusive: new Exclusive(),
    saves: new Semaphore(1),
    removals: new Semaphore(1),
  } as unknown as Core;
});

const current = (): SandboxRecord => records.get(asked.id)!;

test('an end time that is moved as a pause begins is kept when the pause fails', async () => {
  at.room = () => records.update({ ...asked, endAt: 9000 });
  at.write = () => {
    throw new Error('it cannot be written');
  };
  await assert.rejects(new Pausing(core).pause(asked, true), { code: 'sandbox_pause_failed' });
  assert.deepEqual([current().state, current().endAt, ends], ['running', 9000, [9000]]);
});

test('a pause that is off when all is ready is not begun', async () => {
  at.room = () => records.update({ ...asked, endAt: 9000 });
  await new Pausing(core).pause(asked, true, () => current().endAt !== asked.endAt);
  assert.deepEqual([current().state, current().endAt, happened], ['running', 9000, ['stored running']]);
});

test('a sandbox goes on, without the snapshot, when its pause is written and cannot be recorded', async () => {
  at.store = ({ state }) => {
    if (state === 'paused') throw new Error('the store is broken');
  };
  await assert.rejects(new Pausing(core).pause(asked, true), { code: 'sandbox_pause_failed' });
  assert.deepEqual([current().state, current().endAt, ends], ['running', 1000, [1000]]);
  // The snapshot first: with it the next start would take the sandbox for paused.
  assert.deepEqual(happened, ['stored pausing', 'held', 'snapshot removed', 'mended', 'stored running', 'routed']);
  assert.notEqual(current().generation, asked.generation);
});

test('what a failed pause cannot give back at once is given back later, while the sandbox runs', async () => {
  at.write = () => {
    throw new Error('it cannot be written');
  };
  let failures = 1;
  at.mend = () => {
    if (failures-- > 0) throw new Error('it cannot be mended yet');
  };
  const pausing = new Pausing(core);
  const pause = core.exclusive.run(asked.id, () => pausing.pause(asked, true));
  await assert.rejects(pause, { code: 'sandbox_pause_failed' });
  assert.equal(current().state, 'running');
  assert.equal(happened.includes('mended'), false);
  ending.abort();
  await pausing.removed();
  assert.equal(happened.at(-1), 'mended');
});

test('and also when the store takes nothing more: the next start makes the same of what it has', async () => {
  at.store = ({ state }) => {
    if (state !== 'pausing') throw new Error('the store is broken');
  };
  const pausing = new Pausing(core);
  await assert.rejects(pausing.pause(asked, true), { code: 'sandbox_pause_failed' });
  assert.equal(current().state, 'running');
  assert.deepEqual(happened.slice(-2), ['not stored', 'routed']);
  Object.assign(core.host, { hasSnapshot: () => false });
  at.store = () => {};
  assert.equal(pausing.recover({ ...asked, state: 'pausing', snapshot: 's1' } as SandboxRecord).state, 'running');
});

test('a resumption that fails leaves the sandbox paused though the store is broken', async () => {
  const paused = { ...asked, state: 'paused', placement: undefined, snapshot: 's1' } as never;
  records.update(paused);
  at.store = ({ state }) => {
    if (state !== 'resuming') throw new Error('the store is broken');
  };
  Object.assign(core, { assertRoom: () => {}, assertOpen: () => assert.fail('no start') });
  await assert.rejects(new Pausing(core).resume(paused, 60), { code: 'sandbox_resume_failed' });
  assert.equal(current().state, 'paused');
});
