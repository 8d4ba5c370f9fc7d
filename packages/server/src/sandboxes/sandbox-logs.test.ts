import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { LogEntry } from '@sandport/protocol/agent-log';
import { SandboxLogs } from './sandbox-logs.ts';
import type { SandboxRecord } from './sandbox-record.ts';

const running = { id: 'one', state: 'running', placement: {} } as SandboxRecord;
const said: LogEntry = { at: 15, level: 'info', logger: 'process', message: 'command started', fields: {} };

test('what the server did and what the agent says come in the order of time', async () => {
  let now = 10;
  const logs = new SandboxLogs({ readAgentLog: async () => [said], now: () => now });
  logs.note('sandbox started', { sandboxId: 'one', ms: 5, error: new Error('/secret/place') });
  now = 20;
  logs.note('sandbox paused', { sandboxId: 'one' });
  logs.note('sandbox paused', { sandboxId: 'another' });
  logs.note('liveness check failed', {});
  const entries = await logs.of(running);
  assert.deepEqual(
    entries.map(({ message }) => message),
    ['sandbox started', 'command started', 'sandbox paused'],
  );
  assert.deepEqual(entries[0]?.fields, { ms: '5' });
});

test('an agent that does not answer is no failure of the question', async () => {
  const logs = new SandboxLogs({ readAgentLog: () => Promise.reject(new Error('no answer')) });
  logs.note('sandbox started', { sandboxId: 'one' });
  const levels = (await logs.of(running)).map(({ level }) => level);
  assert.deepEqual(levels.sort(), ['info', 'warn']);
});

test('events are bounded, and go with the sandbox', async () => {
  const logs = new SandboxLogs({ readAgentLog: async () => [] });
  for (let count = 0; count < 1000; count++) logs.note('sandbox resumed', { sandboxId: 'one' });
  assert.equal((await logs.of(running)).length, 100);
  logs.note('sandbox ended', { sandboxId: 'one' });
  assert.deepEqual(await logs.of(running), []);
});
