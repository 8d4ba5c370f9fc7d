import assert from 'node:assert/strict';
import { isIPv4 } from 'node:net';
import { test } from 'node:test';
import { SandportError } from '@sandport/protocol/errors';
import fc from 'fast-check';
import { EVERYTHING, OPEN } from '../host/network/egress-policy.ts';
import { type EgressRequest, egressPolicy, validateEgress, validateMask } from './network-policy.ts';
import type { NetworkSpec } from './sandbox-record.ts';

function spec(network: Partial<NetworkSpec>): NetworkSpec {
  return { allowPublicTraffic: true, allowOut: [], denyOut: [], ...network };
}

function passes(check: () => void): boolean {
  try {
    check();
    return true;
  } catch (error) {
    assert(error instanceof SandportError, String(error));
    assert.equal(error.status, 400);
    return false;
  }
}

function toNumber(address: string): number {
  return address.split('.').reduce((sum, part) => sum * 256 + Number(part), 0);
}

/** First and last address. */
function bounds(cidr: string): [number, number] {
  const [address, prefix] = cidr.split('/');
  const size = 2 ** (32 - Number(prefix));
  const first = Math.floor(toNumber(address!) / size) * size;
  return [first, first + size - 1];
}

function contains(ranges: readonly string[], address: number): boolean {
  return ranges.map(bounds).some(([first, last]) => first <= address && address <= last);
}

// Few different bytes, so that ranges often touch, overlap and repeat.
const byte = fc.oneof(fc.constantFrom(1, 10, 127, 128, 255), fc.integer({ min: 1, max: 255 }));
const address = fc.tuple(byte, byte, byte, byte).map((bytes) => bytes.join('.'));
const range = fc.oneof(
  address,
  fc.tuple(address, fc.integer({ min: 0, max: 32 })).map(([start, prefix]) => `${start}/${prefix}`),
  fc.constant(EVERYTHING),
);
const hostile = fc.oneof(
  fc.string(),
  fc.string({ unit: 'binary' }),
  fc.tuple(range, fc.string({ minLength: 1 })).map(([start, rest]) => start + rest),
  fc.tuple(fc.string({ minLength: 1 }), range).map(([first, rest]) => first + rest),
  fc.ipV6(),
  fc.constantFrom(
    '1.2.3.4\n',
    '1.2.3.4/24 }',
    '1.2.3.4/33',
    '1.2.3.4/-1',
    '01.2.3.4',
    '1.2.3.4/2 4',
    '1.2.3',
    '１.2.3.4',
  ),
  fc.constantFrom('0.0.0.0', '0.0.0.0/8', '::', '::/0', 'fe80::1%eth0; flush ruleset', '1.2.3.4/24/24', '', '/', '/24'),
);

test('ranges for the packet filter never overlap, are in canonical form, and cover what was given', () => {
  fc.assert(
    fc.property(fc.array(range, { maxLength: 12 }), fc.array(address, { maxLength: 20 }), (given, probes) => {
      const { deny } = egressPolicy(spec({ denyOut: given }), 'secret');
      const sorted = deny.map(bounds).sort(([a], [b]) => a - b);
      sorted.slice(1).forEach(([first], index) => {
        assert(first > sorted[index]![1], `${deny}`);
      });
      for (const cidr of deny) assert.equal(toNumber(cidr.split('/')[0]!), bounds(cidr)[0], cidr);
      const full = given.map((entry) => (entry.includes('/') ? entry : `${entry}/32`));
      for (const probe of [...probes.map(toNumber), ...full.flatMap(bounds)]) {
        assert.equal(contains(deny, probe), contains(full, probe));
      }
    }),
    { numRuns: 1000 },
  );
});

test('nothing but canonical IPv4 ranges reaches the packet filter, whatever a client sends', () => {
  fc.assert(
    fc.property(
      fc.array(fc.oneof(range, hostile), { maxLength: 4 }),
      fc.array(fc.oneof(range, hostile), { maxLength: 4 }),
      (allowOut, denyOut) => {
        if (!passes(() => validateEgress({ allowOut, denyOut }))) return;
        const { allow, deny } = egressPolicy(spec({ allowOut, denyOut }), 'secret');
        for (const entry of [...allow, ...deny]) {
          assert.match(entry, /^\d{1,3}(?:\.\d{1,3}){3}\/\d{1,2}$/);
          assert(isIPv4(entry.split('/')[0]!));
        }
      },
    ),
    { numRuns: 5000 },
  );
});

test('a hostile string is refused as a denied range unless it is an address or a range', () => {
  fc.assert(
    fc.property(hostile, (entry) => {
      if (!passes(() => validateEgress({ denyOut: [entry] }))) return;
      assert.match(entry, /^[0-9a-fA-F:.]+(?:%[0-9a-zA-Z.:-]+)?(?:\/\d{1,3})?$/);
    }),
    { numRuns: 5000 },
  );
});

test('every address and range that is one is taken', () => {
  fc.assert(fc.property(range, (entry) => validateEgress({ allowOut: [entry], denyOut: [entry] })));
  validateEgress({ allowOut: ['2001:db8::/32', '::1'], denyOut: ['2001:db8::1/128'] });
});

test('a refusal quotes the entry in the words of the official clients', () => {
  const cases: [EgressRequest, string, RegExp][] = [
    [{ denyOut: ['1.2.3.4/33'] }, 'invalid_network_rule', /^invalid denied CIDR 1\.2\.3\.4\/33$/],
    [{ denyOut: ['example.com'] }, 'invalid_network_rule', /^invalid denied CIDR example\.com$/],
    [{ allowOut: ['1.2.3.4/33'] }, 'invalid_network_rule', /^invalid allowed address 1\.2\.3\.4\/33$/],
    [{ allowOut: ['0.0.0.0'] }, 'invalid_network_rule', /^invalid allowed address 0\.0\.0\.0$/],
    [{ allowOut: ['example.com'] }, 'invalid_network_rule', /you must include 'ALL_TRAFFIC' in deny out/],
    [{ allowOut: ['a..b'], denyOut: [EVERYTHING] }, 'invalid_network_rule', /^invalid allowed address a\.\.b$/],
  ];
  for (const [request, code, message] of cases) assert.throws(() => validateEgress(request), { code, message });
});

test('no internet access denies everything, and what is allowed stays allowed', () => {
  const network = spec({ allowInternetAccess: false, allowOut: ['192.0.2.7'], denyOut: ['198.51.100.0/24'] });
  assert.deepEqual(egressPolicy(network, 'secret'), { ...OPEN, allow: ['192.0.2.7/32'], deny: [EVERYTHING] });
  assert.deepEqual(egressPolicy(spec({ allowInternetAccess: true }), 'secret'), OPEN);
});

test('IPv6 entries are taken and need no rule', () => {
  const network = spec({ allowOut: ['2001:db8::1'], denyOut: ['2001:db8::/32', '192.0.2.1/24'] });
  assert.deepEqual(egressPolicy(network, 'secret'), { ...OPEN, deny: ['192.0.2.0/24'] });
});

test('a mask is a host name with or without a port, which may be the requested one', () => {
  for (const mask of ['localhost:${PORT}', 'localhost', 'app.example.com:8080', '127.0.0.1', '${PORT}.example.com']) {
    validateMask(mask);
  }
  const bad = [
    '',
    'a b',
    'a\r\nX: y',
    'localhost:',
    'localhost:99999',
    'a/b',
    'user@a',
    '-a',
    'é',
    'a?b',
    'a:1:2',
    '${PORT',
    '[::1]',
  ];
  for (const mask of bad) {
    assert.throws(() => validateMask(mask), { code: 'validation_failed' }, mask);
  }
});

test('a mask that passes is a Host field of one line, whatever a client sends', () => {
  const piece = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.constantFrom('${PORT}', 'localhost', ':', '.', '\r\n', '-', '80'),
  );
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 5 }), (pieces) => {
      const mask = pieces.join('');
      if (passes(() => validateMask(mask))) assert.match(mask.replaceAll('${PORT}', '1'), /^[\w.-]+(?::\d{1,5})?$/);
    }),
    { numRuns: 5000 },
  );
});
