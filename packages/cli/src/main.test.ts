import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { globSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const MAIN = fileURLToPath(new URL('main.js', import.meta.url));

test('the command keeps what it was compiled to beside the images, and does without where it cannot', () => {
  const home = mkdtempSync(join(tmpdir(), 'sandport-home-'));
  const { NODE_COMPILE_CACHE: _shared, ...env } = process.env;
  const help = (at: string): string =>
    execFileSync(process.execPath, [MAIN, '--help'], { env: { ...env, SANDPORT_HOME: at }, encoding: 'utf8' });
  try {
    assert.match(help(home), /Usage: sandport/);
    assert(globSync('compiled/*/*', { cwd: home }).length > 10);
    assert.match(help('/dev/null'), /Usage: sandport/);
  } finally {
    rmSync(home, { recursive: true });
  }
});
