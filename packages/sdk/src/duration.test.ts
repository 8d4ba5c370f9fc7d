import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseDuration } from './duration.ts';

test('a duration is a number of seconds, or a number with its unit', () => {
  for (const [text, seconds] of [
    [90, 90],
    ['30s', 30],
    ['15m', 900],
    ['1h', 3600],
    ['7d', 604_800],
  ] as const) {
    assert.equal(parseDuration('expiresIn', text), seconds);
  }
  for (const wrong of [0, -1, 1.5, Number.NaN, '', '1', 'h', '1 h', '1w', '-1h', '0s', '1h30m']) {
    assert.throws(() => parseDuration('expiresIn', wrong), /expiresIn is ".*"; expected a number of seconds/);
  }
});
