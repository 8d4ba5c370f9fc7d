import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type PassKeys, type PassKind, readPass, signPass } from './access-pass.ts';

const keys: PassKeys = { session: Buffer.alloc(32, 1), url: Buffer.alloc(32, 2) };
const NOW = 1_800_000_000;
const pass = signPass(keys, 'url', 'one', 3000, NOW + 60);

const read = (text: string, kinds: readonly PassKind[] = ['url'], id = 'one', port = 3000, now = NOW, with_ = keys) =>
  readPass(with_, text, kinds, id, port, now);

test('a pass holds for its own sandbox, port, kind and time only', () => {
  assert.deepEqual(read(pass), { kind: 'url', expiresAt: NOW + 60 });
  assert.deepEqual(read(pass, ['session', 'url']), { kind: 'url', expiresAt: NOW + 60 });
  assert.equal(read(pass, ['url'], 'two'), undefined);
  assert.equal(read(pass, ['url'], 'one', 3001), undefined);
  assert.equal(read(pass, ['url'], 'one', 3000, NOW + 59)?.kind, 'url');
  assert.equal(read(pass, ['url'], 'one', 3000, NOW + 60), undefined);
  assert.equal(read(pass, ['session', 'url-session']), undefined);
  assert.equal(read(pass.replace(/^u/, 'v'), ['url-session']), undefined);
});

test('passes of signed URLs end with their key, sessions with theirs', () => {
  const revoked = { ...keys, url: Buffer.alloc(32, 3) };
  assert.equal(read(pass, ['url'], 'one', 3000, NOW, revoked), undefined);
  const fromUrl = signPass(keys, 'url-session', 'one', 3000, NOW + 60);
  assert.equal(read(fromUrl, ['url-session'], 'one', 3000, NOW, revoked), undefined);
  const session = signPass(keys, 'session', 'one', 3000, NOW + 60);
  assert.equal(read(session, ['session'], 'one', 3000, NOW, revoked)?.kind, 'session');
  assert.equal(read(session, ['session'], 'one', 3000, NOW, { ...keys, session: keys.url }), undefined);
});

test('a pass that was changed anywhere does not hold', () => {
  fc.assert(
    fc.property(fc.nat(pass.length - 1), fc.constantFrom(...'0aAz_-.'), (at, char) => {
      const changed = pass.slice(0, at) + char + pass.slice(at + 1);
      // The last character of 32 bytes in base64url has two bits that say nothing.
      if (changed === pass || at === pass.length - 1) return;
      assert.equal(read(changed), undefined, changed);
    }),
  );
  for (const text of ['', 'u', 'u..', `${pass}x`, ` ${pass}`, pass.toUpperCase(), `u.zzzzzzzzz.${'A'.repeat(43)}`]) {
    assert.equal(read(text), undefined, text);
  }
});
