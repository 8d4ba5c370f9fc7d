import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CUT, freshMark } from './connection-mark.ts';

test('no two marks are the same, none says something else, and all leave the bits of others alone', () => {
  // Past the end of the low half, in which CUT lies.
  const marks = Array.from({ length: 100_000 }, freshMark);
  assert.equal(new Set(marks).size, marks.length);
  assert.ok(!marks.includes(CUT) && !marks.includes(0));
  assert.ok(marks.every((mark) => mark > 0 && mark < 2 ** 32 && (mark & 0xff_0000) === 0));
});
