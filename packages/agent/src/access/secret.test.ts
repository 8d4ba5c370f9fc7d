import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { Secret } from './secret.ts';

test('a secret equals itself alone, whatever is longer, shorter, repeated or of another kind', () => {
  const secret = new Secret('ab-ä-cd');
  assert.equal(secret.equals('ab-ä-cd'), true);
  for (const other of [
    '',
    'a',
    'ab-ä-c',
    'ab-ä-ce',
    'bb-ä-cd',
    'ab-ä-cdab-ä-cd',
    'ab-ä-cd\0',
    undefined,
    null,
    7,
    ['ab-ä-cd'],
  ]) {
    assert.equal(secret.equals(other), false, String(other));
  }
  assert.equal(new Secret('').equals('a'), false);
});

test('a signature is the SHA-256 of the text, in base64 without padding', () => {
  const expected = createHash('sha256').update('read:s3cret').digest('base64').replace(/=+$/, '');
  assert.equal(
    new Secret('s3cret').sign((secret) => `read:${secret}`),
    expected,
  );
});
