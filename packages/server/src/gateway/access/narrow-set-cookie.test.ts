import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { narrowSetCookie } from './narrow-set-cookie.ts';

test('a cookie loses its Domain in every spelling, and nothing else', () => {
  for (const [given, kept] of [
    ['a=b; Domain=box.test; Path=/', 'a=b; Path=/'],
    ['a=b;DOMAIN = .box.test;Secure', 'a=b;Secure'],
    ['a=b; domain; HttpOnly', 'a=b; HttpOnly'],
    ['a=b; domain=x; domain=box.test', 'a=b'],
    ['a=b;\tdoMain\t=box.test', 'a=b'],
    ['domain=box.test; Path=/', 'domain=box.test; Path=/'],
    ['a=domain; Path=/domain; Expires=Wed, 21 Oct 2099 07:28:00 GMT', undefined],
    ['__Host-a=b; Secure; Path=/', undefined],
  ] as const) {
    assert.equal(narrowSetCookie(given), kept ?? given);
  }
});

test('no server sets or deletes the cookie that opens its own port', () => {
  for (const value of ['__Host-sandport-access=x', ' __host-Sandport-access=; Max-Age=0', '__Host-sandport-access']) {
    assert.equal(narrowSetCookie(value), undefined);
  }
});

test('no attribute that a browser would read as Domain is left', () => {
  const part = fc.oneof(
    fc.constantFrom('Domain=x', ' domain ', 'DOMAIN=', ' Path=/', 'a'),
    fc.string({ maxLength: 8 }),
  );
  fc.assert(
    fc.property(fc.array(part, { maxLength: 6 }), (parts) => {
      const kept = narrowSetCookie(`a=b;${parts.join(';')}`)!;
      const names = kept.split(';').slice(1);
      assert(names.every((one) => one.split('=', 1)[0]!.trim().toLowerCase() !== 'domain'));
    }),
  );
});
