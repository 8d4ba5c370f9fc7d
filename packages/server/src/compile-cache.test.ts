import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { removeOldEntries } from './compile-cache.ts';

const DAY_MS = 24 * 60 * 60 * 1000;

test('what was compiled more than 30 days ago is removed, whatever the version of Node, and the rest stays', () => {
  const directory = mkdtempSync(join(tmpdir(), 'sandport-compiled-'));
  try {
    const now = Date.now();
    for (const version of ['v24', 'v26']) {
      mkdirSync(join(directory, version));
      for (const days of [0, 29, 31]) {
        const path = join(directory, version, `entry-${days}`);
        writeFileSync(path, '');
        utimesSync(path, new Date(now), new Date(now - days * DAY_MS));
      }
    }
    removeOldEntries(directory, now);
    for (const version of ['v24', 'v26']) {
      assert.deepEqual(readdirSync(join(directory, version)).sort(), ['entry-0', 'entry-29']);
    }
  } finally {
    rmSync(directory, { recursive: true });
  }
});

test('before the first start there is nothing to remove', () => {
  removeOldEntries(join(tmpdir(), 'sandport-compiled-nowhere'));
});
