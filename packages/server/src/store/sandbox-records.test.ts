import assert from 'node:assert/strict';
import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { SandboxRecord } from '../sandboxes/sandbox-record.ts';
import { openDatabase } from './database.ts';
import { EventRecords } from './event-records.ts';
import { SandboxRecords } from './sandbox-records.ts';
import { SpecSealer } from './sealed-spec.ts';

const sealer = new SpecSealer(Buffer.alloc(32, 7));
const prefix = join(tmpdir(), 'sandport-records-');

const limits = { memoryMB: 1024, cpuCount: 2, diskSizeMB: 10_240, processes: 4096 };
const trafficBefore = { connections: 1, sentBytes: 2, receivedBytes: 3, denied: 4 };
const creating: SandboxRecord = {
  id: 'i1',
  state: 'creating',
  generation: 'g1',
  createdAt: 5,
  startedAt: 1_800_000_000_000,
  endAt: 1_800_000_300_000,
  spec: {
    templateId: 'base',
    alias: 'base',
    metadata: { "it's": '"quoted"; DROP TABLE sandboxes', é: '😀\u0000' },
    envVars: { A: '1' },
    secure: true,
    network: { allowPublicTraffic: false, maskRequestHost: 'localhost:${PORT}', allowOut: [], denyOut: ['0.0.0.0/0'] },
    limits,
    lifecycle: { onTimeout: 'pause', keepMemory: true, autoResume: true, resumeSeconds: 300 },
    defaults: { user: 'user', workdir: '/home/user', env: { PATH: '/bin' } },
  },
  placement: undefined,
};
const running: SandboxRecord = {
  ...creating,
  state: 'running',
  generation: 'g2',
  placement: {
    container: 'c1',
    slot: 3,
    disk: 'disk-1',
    address: '198.18.0.4',
    basis: { image: { rootfs: '/a', rootfsShifted: '/b' }, agentDirectory: '/c', limits },
  },
};

test('records survive a reopening, in every state and field', async () => {
  await using root = await mkdtempDisposable(prefix);
  const path = join(root.path, 'x.db');
  const database = openDatabase(path);
  const records = new SandboxRecords(database, new EventRecords(database), sealer);
  const ending: SandboxRecord = { ...running, id: 'i2', state: 'ending' };
  const paused: SandboxRecord = { ...creating, id: 'i3', state: 'paused', snapshot: 's1', trafficBefore };
  records.insert(creating);
  records.insert(ending);
  records.insert(paused);
  records.update({ ...running, endAt: running.endAt + 1 });
  database.close();
  const reopened = openDatabase(path);
  const all = new SandboxRecords(reopened, new EventRecords(reopened), sealer)
    .all()
    .sort((a, b) => (a.id < b.id ? -1 : 1));
  assert.deepEqual(all, [{ ...running, endAt: running.endAt + 1 }, ending, paused]);
  reopened.close();
});

test('an update touches one record, and of one that is not there makes none', async () => {
  await using root = await mkdtempDisposable(prefix);
  const database = openDatabase(join(root.path, 'x.db'));
  const records = new SandboxRecords(database, new EventRecords(database), sealer);
  records.insert(creating);
  records.insert({ ...creating, id: 'i2' });
  records.update(running);
  records.update({ ...running, id: 'i3' });
  assert.deepEqual(
    records.all().map(({ id, state }) => [id, state]),
    [
      ['i1', 'running'],
      ['i2', 'creating'],
    ],
  );
  database.close();
});

test('a deleted record is gone, and deleting it again is nothing', async () => {
  await using root = await mkdtempDisposable(prefix);
  const database = openDatabase(join(root.path, 'x.db'));
  const records = new SandboxRecords(database, new EventRecords(database), sealer);
  records.insert(creating);
  records.insert({ ...creating, id: 'i2' });
  records.delete('i1');
  records.delete('i1');
  assert.deepEqual(
    records.all().map(({ id }) => id),
    ['i2'],
  );
  database.close();
});

test('an ID is used once', async () => {
  await using root = await mkdtempDisposable(prefix);
  const database = openDatabase(join(root.path, 'x.db'));
  const records = new SandboxRecords(database, new EventRecords(database), sealer);
  records.insert(creating);
  assert.throws(() => records.insert(running), /UNIQUE/);
  assert.deepEqual(records.all(), [creating]);
  database.close();
});

test('times of what runs move together with the clock that is noted, and survive a reopening', async () => {
  await using directory = await mkdtempDisposable(prefix);
  const path = join(directory.path, 'database');
  const paused = { ...running, id: 'i2', state: 'paused', snapshot: 's1' } as const;
  {
    using database = openDatabase(path);
    const records = new SandboxRecords(database, new EventRecords(database), sealer);
    assert.equal(records.clockOffset(), undefined);
    records.insert(running);
    records.insert(paused);
    records.shiftTimes(-5000, { bootId: 'boot', ms: 7 });
  }
  using database = openDatabase(path);
  const records = new SandboxRecords(database, new EventRecords(database), sealer);
  assert.deepEqual(records.clockOffset(), { bootId: 'boot', ms: 7 });
  const moved = { ...running, startedAt: running.startedAt - 5000, endAt: running.endAt - 5000 };
  assert.deepEqual(records.all(), [moved, paused]);
});
