import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isSandboxId } from '@sandport/protocol/host-name';
import { newSandboxId } from './sandbox-id.ts';

test('IDs are a letter and 20 characters that a host name carries unchanged, each drawn anew', () => {
  const ids = Array.from({ length: 1000 }, newSandboxId);
  for (const id of ids) assert(/^i[a-z0-9]{20}$/.test(id) && isSandboxId(id), id);
  assert.equal(new Set(ids).size, ids.length);
  // Each of 36 characters at each of 20 places in 1000 IDs: the chance that one is missing is below 10^-9.
  for (let place = 1; place <= 20; place++) assert.equal(new Set(ids.map((id) => id[place])).size, 36);
});
