import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MemoryKills } from './memory-kills.ts';

test('of a container that ended, only what the kernel has ended just before counts', () => {
  let count = 0;
  const kills = new MemoryKills(() => count);
  const end = () => kills.anyJustBefore('c1');
  kills.look('c1');
  count = 1;
  assert.equal(end(), true, 'between two looks');
  kills.look('c1');
  assert.equal(end(), true, 'it was being ended at the last look');
  kills.look('c1');
  assert.equal(end(), false, 'a program of it alone, a while ago');
  count = 3;
  assert.equal(end(), true);
  kills.forget('c1');
  assert.equal(end(), true, 'nobody has looked');
  kills.look('c1');
  assert.equal(end(), false, 'of one that was adopted the count is old');
});
