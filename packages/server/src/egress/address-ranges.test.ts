import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { AddressRanges, disjointRanges, toDotted, toNumber } from './address-ranges.ts';

const byte = fc.constantFrom(0, 1, 10, 127, 128, 255);
const address = fc.tuple(byte, byte, byte, byte).map((bytes) => bytes.join('.'));
const range = fc.tuple(address, fc.integer({ min: 0, max: 32 })).map(([start, prefix]) => `${start}/${prefix}`);

test('an address is found in a set of ranges when it lies in one of them', () => {
  fc.assert(
    fc.property(fc.array(range, { maxLength: 12 }), fc.array(address), (cidrs, probes) => {
      const ranges = new AddressRanges(cidrs);
      for (const probe of probes) {
        const inOne = cidrs.some((cidr) => {
          const [start, prefix] = cidr.split('/');
          const size = 2 ** (32 - Number(prefix));
          return Math.floor(toNumber(start!) / size) === Math.floor(toNumber(probe) / size);
        });
        assert.equal(ranges.has(probe), inOne);
      }
    }),
  );
});

test('ranges that leave no address out are all of them, however many', () => {
  for (const all of [
    ['0.0.0.0/0'],
    ['128.0.0.0/1', '0.0.0.0/1'],
    ['0.0.0.0/2', '64.0.0.0/2', '128.0.0.0/1', '1.0.0.0/8'],
  ])
    assert(new AddressRanges(all).hasAll, `${all}`);
  for (const some of [[], ['0.0.0.0/1'], ['128.0.0.0/1'], ['0.0.0.0/1', '128.0.0.0/2', '192.0.0.0/3', '225.0.0.0/8']])
    assert(!new AddressRanges(some).hasAll, `${some}`);
});

test('ten thousand ranges are made disjoint at once', () => {
  const many = Array.from({ length: 10_000 }, (_, index) => `${toDotted(index * 65_536)}/24`);
  assert.equal(disjointRanges([...many, ...many]).length, 10_000);
  assert.deepEqual(disjointRanges([...many, '0.0.0.0/0']), ['0.0.0.0/0']);
});
