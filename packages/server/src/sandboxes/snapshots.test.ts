import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Core } from './core.ts';
import type { SandboxRecord, SnapshotRecord } from './sandbox-record.ts';
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
