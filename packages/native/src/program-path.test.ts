import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { findProgram } from './program-path.ts';

test('a program is the first file of its name that may be run', () => {
  const directory = mkdtempSync(join(tmpdir(), 'sandport-programs-'));
  try {
    const [first, second, third] = ['first', 'second', 'third'].map((name) => join(directory, name));
    mkdirSync(join(first!, 'tool'), { recursive: true });
    for (const [place, mode] of [
      [second!, 0o644],
      [third!, 0o755],
    ] as const) {
      mkdirSync(place);
      writeFileSync(join(place, 'tool'), '');
      chmodSync(join(place, 'tool'), mode);
    }
    assert.equal(findProgram('tool', `/nowhere:${first}:${second}:${third}`, '/'), join(third!, 'tool'));
    assert.throws(() => findProgram('tool', `${first}:${second}`, '/'), { code: 'EACCES' });
    assert.throws(() => findProgram('other', `${first}:${second}:${third}`, '/'), { code: 'ENOENT' });
  } finally {
    rmSync(directory, { recursive: true });
  }
});
