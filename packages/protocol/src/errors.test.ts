import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { type ErrorCode, errorTable, SandportError } from './errors.ts';

const codes = Object.keys(errorTable) as ErrorCode[];

test('docs/errors.md lists exactly the codes of the table, each with its status and what to do', async () => {
  const page = await readFile(new URL('../../../docs/errors.md', import.meta.url), 'utf8');
  const rows = page.split('\n').filter((line) => line.startsWith('| `'));
  const listed = rows.map((row) => row.split('|').map((cell) => cell.trim()));
  assert.deepEqual(
    listed.map(([, code, status, hint]) => [code, status, hint]),
    codes.map((code) => [`\`${code}\``, String(errorTable[code].status || '-'), errorTable[code].hint]),
  );
  for (const [, code, , , where] of listed) assert(where, `${code} says where it comes from`);
});

test('every code is a stable name, with a status of an error and a hint that is a sentence', () => {
  for (const code of codes) {
    const { status, hint } = errorTable[code];
    assert.match(code, /^[a-z]+(?:_[a-z]+)*$/);
    assert(status === 0 || (status >= 400 && status <= 599), code);
    assert.match(hint, /^["A-Z].*\.$/);
    assert(!hint.includes('|') && !hint.includes('\n'), `${code} fits into a table`);
  }
});

test('an error has the status and the hint of its code, and its body is what clients branch on', () => {
  const cause = new Error('below');
  const error = new SandportError('sandbox_not_found', 'no sandbox "i1"', { cause });
  assert(error instanceof Error);
  assert.deepEqual([error.name, error.message, error.cause], ['SandportError', 'no sandbox "i1"', cause]);
  assert.deepEqual([error.status, error.hint], [404, errorTable.sandbox_not_found.hint]);
  assert.deepEqual(error.toBody(), { code: 404, message: 'no sandbox "i1"', error_code: 'sandbox_not_found' });
});
