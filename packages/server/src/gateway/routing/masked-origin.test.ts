import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fromMasked, toMasked } from './masked-origin.ts';

const PUBLIC = '3000-one.box.test:8443';

test('the public origin becomes the masked one, and no other does', () => {
  for (const [value, expected] of [
    [`https://${PUBLIC}`, 'http://localhost:3000'],
    [`http://${PUBLIC.toUpperCase()}/a?b#c`, 'http://localhost:3000/a?b#c'],
    ['https://3000-one.box.test', undefined],
    [`https://${PUBLIC}.evil.example`, undefined],
    [`https://evil.example/${PUBLIC}`, undefined],
    [`https://user@${PUBLIC}/`, undefined],
    ['null', undefined],
  ] as const) {
    assert.equal(toMasked(value, PUBLIC, 'localhost:3000'), expected ?? value);
  }
});

test('a redirect to the masked host leads to the public one, any other where it did', () => {
  for (const [location, expected] of [
    ['http://localhost:3000/a?b', `https://${PUBLIC}/a?b`],
    ['https://LOCALHOST:3000', `https://${PUBLIC}`],
    ['//localhost:3000/a', `https://${PUBLIC}/a`],
    ['/a', undefined],
    ['a', undefined],
    ['http://localhost:3001/', undefined],
    ['http://localhost:3000.evil.example/', undefined],
    ['https://example.com/?to=http://localhost:3000/', undefined],
  ] as const) {
    assert.equal(fromMasked(location, 'localhost:3000', `https://${PUBLIC}`), expected ?? location);
  }
});
