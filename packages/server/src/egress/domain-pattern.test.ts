import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { DomainPatterns, readHostName, readPattern } from './domain-pattern.ts';

test('names are compared in lower case and without the dot of the root', () => {
  assert.equal(readHostName('Example.TEST.'), 'example.test');
  assert.equal(readHostName('a_b.example.test'), 'a_b.example.test');
  for (const bad of [
    '',
    '.',
    'a..b',
    '-a.test',
    'a-.test',
    '192.0.2.1',
    '1',
    '[::1]',
    'a b',
    'a/b',
    'é.test',
    'a\0.test',
  ]) {
    assert.equal(readHostName(bad), undefined, bad);
  }
  assert.equal(readHostName(`${'a'.repeat(64)}.test`), undefined);
  assert.equal(readHostName(`${'a.'.repeat(126)}test`), undefined);
});

test('a pattern fits every depth below a name, and not the name itself', () => {
  const patterns = new DomainPatterns([[readPattern('*.Example.test')!, true]]);
  for (const name of ['a.example.test', 'a.b.example.test']) assert.equal(patterns.find(name), true, name);
  for (const name of ['example.test', 'badexample.test', 'test', 'example.test.other']) {
    assert.equal(patterns.find(name), undefined, name);
  }
  for (const bad of ['*', '**.a.test', 'a.*.test', '*a.test', '*.', '*.*.test'])
    assert.equal(readPattern(bad), undefined, bad);
  assert.equal(new DomainPatterns([[readPattern('*', true)!, 1]]).find('any.test'), 1);
});

test('the name itself comes first, then the longest pattern', () => {
  const patterns = new DomainPatterns([
    ['*', 'all'],
    ['*.test', 'short'],
    ['*.a.test', 'long'],
    ['b.a.test', 'exact'],
  ]);
  assert.deepEqual(
    ['b.a.test', 'c.a.test', 'd.c.a.test', 'a.test', 'org'].map((name) => patterns.find(name)),
    ['exact', 'long', 'long', 'short', 'all'],
  );
});

test('what is read as a name is a name, whatever comes', () => {
  fc.assert(
    fc.property(fc.oneof(fc.string({ unit: 'binary' }), fc.domain(), fc.ipV4(), fc.ipV6()), (text) => {
      const name = readHostName(text);
      if (name !== undefined) assert.match(name, /^[a-z0-9_.-]*[a-z][a-z0-9-]*$/);
    }),
  );
});
