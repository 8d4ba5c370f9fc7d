import assert from 'node:assert/strict';
import { mkdtempDisposable, readdir, readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { SandboxRecord, SandboxSpec } from '../sandboxes/sandbox-record.ts';
import { openDatabase } from './database.ts';
import { EventRecords } from './event-records.ts';
import { SandboxRecords } from './sandbox-records.ts';
import { sealOldRecords } from './seal-old-records.ts';
import { SpecSealer } from './sealed-spec.ts';
import { SnapshotRecords } from './snapshot-records.ts';

const SECRET = 'of-no-concern-to-a-reader';
const spec: SandboxSpec = {
  templateId: 'base',
  alias: 'base',
  metadata: { shown: 'yes' },
  envVars: { KEY: `${SECRET}-1` },
  secure: true,
  network: {
    allowPublicTraffic: true,
    allowOut: ['api.example.com'],
    denyOut: ['0.0.0.0/0'],
    rules: { 'api.example.com': [{ transform: { headers: { Authorization: `Bearer ${SECRET}-2` } } }] },
    egressProxy: { address: 'proxy.example.com:1080', username: 'user', password: `${SECRET}-3` },
  },
  limits: { memoryMB: 1024, cpuCount: 2, diskSizeMB: 10_240, processes: 4096 },
  lifecycle: { onTimeout: 'pause', keepMemory: true, autoResume: true, resumeSeconds: 300 },
  defaults: { user: 'user', workdir: '/home/user', env: { PATH: '/bin' } },
};
const record: SandboxRecord = {
  id: 'i1',
  state: 'paused',
  generation: 'g1',
  createdAt: 1,
  startedAt: 1,
  endAt: 2,
  spec,
  placement: undefined,
  snapshot: 's1',
};
const event = {
  id: 'e1',
  kind: 'checkpointed',
  sandboxId: 'i1',
  executionId: 'x1',
  templateId: 'base',
  at: 1,
  data: {},
} as const;
const snapshot = { id: 's1', name: undefined, sandboxId: 'i1', createdAt: 1, spec };
const sealer = new SpecSealer(Buffer.alloc(32, 1));

async function everything(directory: string): Promise<string> {
  const files = await readdir(directory);
  return (await Promise.all(files.map((file) => readFile(join(directory, file), 'latin1')))).join('');
}

test('credentials are not in the files of the database, and what else was asked for is', async () => {
  await using root = await mkdtempDisposable(join(tmpdir(), 'sandport-sealed-'));
  const database = openDatabase(join(root.path, 'x.db'));
  const records = new SandboxRecords(database, new EventRecords(database), sealer);
  const snapshots = new SnapshotRecords(database, new EventRecords(database), sealer);
  records.insert(record);
  records.update(record);
  snapshots.insert(snapshot, event);
  assert.deepEqual(records.all(), [record]);
  assert.deepEqual(snapshots.all(), [snapshot]);
  assert.doesNotMatch(await everything(root.path), new RegExp(SECRET));
  database.close();
  const bytes = await everything(root.path);
  assert.doesNotMatch(bytes, new RegExp(SECRET));
  assert.match(bytes, /api\.example\.com/);
});

test('a record opens with the same secret only, and only as the record that it is', () => {
  const text = sealer.seal('i1', spec);
  assert.deepEqual(new SpecSealer(Buffer.alloc(32, 1)).open('i1', text), spec);
  assert.throws(() => new SpecSealer(Buffer.alloc(32, 2)).open('i1', text), /i1 was written with another secret/);
  assert.throws(() => sealer.open('i2', text), /i2 was written with another secret/);
  assert.notEqual(sealer.seal('i1', spec), text);
});

test('records of an earlier version are read, and encrypted with nothing left behind', async () => {
  await using root = await mkdtempDisposable(join(tmpdir(), 'sandport-sealed-'));
  const database = openDatabase(join(root.path, 'x.db'));
  const records = new SandboxRecords(database, new EventRecords(database), sealer);
  const snapshots = new SnapshotRecords(database, new EventRecords(database), sealer);
  records.insert(record);
  snapshots.insert(snapshot, event);
  for (const table of ['sandboxes', 'snapshots']) {
    database.prepare(`UPDATE ${table} SET spec = ?`).run(JSON.stringify(spec));
  }
  assert.deepEqual(records.all(), [record]);
  assert.match(await everything(root.path), new RegExp(SECRET));
  for (let round = 0; round < 2; round++) {
    sealOldRecords(database, sealer);
    assert.deepEqual(records.all(), [record]);
    assert.deepEqual(snapshots.all(), [snapshot]);
    assert.doesNotMatch(await everything(root.path), new RegExp(SECRET));
  }
  database.close();
});
