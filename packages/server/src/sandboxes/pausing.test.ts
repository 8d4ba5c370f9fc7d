import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Core } from './core.ts';
import { Pausing } from './pausing.ts';
import type { RunningSandbox } from './sandbox-record.ts';

test('an end time that is moved as a pause begins is kept when the pause fails', async () => {
  const asked = {
    id: 'i1',
    state: 'running',
    endAt: 1000,
    spec: { lifecycle: { autoResume: false }, network: { allowPublicTraffic: true } },
    placement: { address: '198.18.0.4' },
  } as unknown as RunningSandbox;
  let record = asked;
  const ends: number[] = [];
  const core = {
    records: {
      get: () => record,
      update: (changed: RunningSandbox) => {
        record = changed;
        return changed;
      },
    },
    host: {
      keepsMemory: true,
      assertRoomFor: async () => {
        record = { ...record, endAt: 9000 };
      },
      pause: () => Promise.reject(new Error('it cannot be written')),
    },
    routes: { setRoute: async () => {} },
    tokens: { loopbackTunnel: () => 'token' },
    timers: { clear: () => {}, set: (_id: string, endAt: number) => ends.push(endAt) },
    log: { event: () => {} },
    now: () => 0,
  } as unknown as Core;
  await assert.rejects(new Pausing(core).pause(asked, true), { code: 'sandbox_pause_failed' });
  assert.deepEqual([record.state, record.endAt, ends], ['running', 9000, [9000]]);
});
