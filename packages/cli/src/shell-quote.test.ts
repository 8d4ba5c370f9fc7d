import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { test } from 'node:test';
import { quoteForShell } from './shell-quote.ts';

test('a shell reads back every word as it was', () => {
  const words = ['plain', '', ' ', "it's", '$HOME', '`id`', '"', '\\', 'a\nb', '*', '-n', 'ü', "''", ';', '~'];
  const output = execFileSync('sh', ['-c', `printf '%s\\0' ${words.map(quoteForShell).join(' ')}`], {
    encoding: 'utf8',
  });
  assert.deepEqual(output.split('\0').slice(0, -1), words);
});
