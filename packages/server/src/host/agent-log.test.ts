import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MAX_AGENT_ENTRIES, MAX_LOG_TEXT } from '@sandport/protocol/agent-log';
import { readEntries } from './agent-log.ts';

const good = { at: 1, level: 'info', logger: 'process', message: 'command started', fields: { pid: '7' } };

test('what a hostile agent says is left out, entry by entry', () => {
  const bad = [
    null,
    5,
    {},
    { ...good, at: Infinity },
    { ...good, at: 1e300 },
    { ...good, level: 'loud' },
    { ...good, logger: 'x'.repeat(1000) },
    { ...good, message: 'x'.repeat(MAX_LOG_TEXT + 1) },
    { ...good, fields: null },
  ];
  assert.deepEqual(readEntries([...bad, good]), [good]);
  assert.deepEqual(readEntries([{ ...good, fields: { a: 1, b: 'x'.repeat(MAX_LOG_TEXT + 1), c: 'c' } }]), [
    { ...good, fields: { c: 'c' } },
  ]);
  assert.equal(readEntries(Array.from({ length: 10_000 }, () => good)).length, MAX_AGENT_ENTRIES);
  assert.throws(() => readEntries({ length: 1 }), TypeError);
});
