import assert from 'node:assert/strict';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { test } from 'node:test';
import { FoundGood } from './found-good.ts';

test('what was found good is so until its program is another', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'sandport-found-'));
  const path = process.env.PATH;
  const install = (content: string): void => {
    writeFileSync(join(directory, 'tool'), content);
    chmodSync(join(directory, 'tool'), 0o755);
  };
  process.env.PATH = [directory, path].join(delimiter);
  try {
    const found = new FoundGood(join(directory, 'found'));
    install('one');
    assert.equal(found.has('it', 'tool'), false);
    await found.add('it', 'tool');
    assert.equal(found.has('it', 'tool'), true);
    assert.equal(new FoundGood(join(directory, 'found')).has('it', 'tool'), true, 'for the next process too');
    assert.equal(found.has('other', 'tool'), false);
    install('another');
    assert.equal(found.has('it', 'tool'), false);
    rmSync(join(directory, 'tool'));
    assert.equal(found.has('it', 'tool'), false);
    await found.add('it', 'tool');
    assert.equal(found.has('it', 'tool'), false);
  } finally {
    process.env.PATH = path;
    rmSync(directory, { recursive: true });
  }
});
