import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Semaphore } from '../semaphore.ts';
import type { Core } from './core.ts';
import type { RunningSandbox, SandboxRecord, SnapshotRecord } from './sandbox-record.ts';
import { Snapshots } from './snapshots.ts';

/** One snapshot, which a sandbox in `state` is to go on from, and what is removed of the disk. */
function oneSnapshot(state: SandboxRecord['state']): { snapshots: Snapshots; removed: string[] } {
  const removed: string[] = [];
  const core = {
    records: { values: () => [{ id: 'i1', state, snapshot: 's1' }] },
    host: { removeSnapshot: async (id: string) => void removed.push(id) },
    log: { event: () => {} },
  } as unknown as Core;
  const record = { id: 's1', name: undefined, sandboxId: 'i1', createdAt: 0 } as unknown as SnapshotRecord;
  const store = { all: () => [record], insert: () => {}, delete: () => {} };
  const snapshots = new Snapshots(core, store, 10, []);
  snapshots.load();
  return { snapshots, removed };
}

test('a snapshot that is deleted while a start reads it stays for the paused sandbox that needs it', async () => {
  const { snapshots, removed } = oneSnapshot('paused');
  const { promise, resolve } = Promise.withResolvers<void>();
  const start = snapshots.reading('s1', () => promise);
  await snapshots.delete('s1');
  assert(snapshots.isKept('s1'), 'the sandbox may be resumed meanwhile, and does not remove it then');
  resolve();
  await start;
  assert.deepEqual(removed, []);
  assert(!snapshots.isKept('s1'), 'a sandbox that is resumed now removes it');
});

test('it goes when the start ends and its sandbox was killed meanwhile', async () => {
  const { snapshots, removed } = oneSnapshot('ending');
  const { promise, resolve } = Promise.withResolvers<void>();
  const start = snapshots.reading('s1', () => promise);
  await snapshots.delete('s1');
  assert.deepEqual(removed, []);
  resolve();
  await start;
  assert.deepEqual(removed, ['s1']);
});

test('snapshots that are being made count as those that are there', async () => {
  const { promise: written, resolve: write } = Promise.withResolvers<void>();
  const core = {
    records: { get: () => undefined, restore: (record: object) => record },
    host: { keepsMemory: true, assertRoomFor: async () => {}, snapshot: () => written },
    routes: { setRoute: async () => {} },
    tokens: { loopbackTunnel: () => 'token', agentControl: () => 'token' },
    log: { event: () => {} },
    onEvent: () => {},
    saves: new Semaphore(1),
    now: () => 0,
  } as unknown as Core;
  const snapshots = new Snapshots(core, { all: () => [], insert: () => {}, delete: () => {} }, 1, []);
  const spec = { metadata: {}, lifecycle: { autoResume: false }, network: { allowPublicTraffic: true } };
  const one = {
    id: 'i1',
    state: 'running',
    spec,
    createdAt: 0,
    startedAt: 0,
    endAt: 1000,
    placement: { address: '198.18.0.4' },
  } as unknown as RunningSandbox;
  const first = snapshots.create(one, undefined);
  await assert.rejects(snapshots.create({ ...one, id: 'i2' }, undefined), { code: 'too_many_snapshots' });
  write();
  await first;
  assert.equal(snapshots.list().length, 1);
});
