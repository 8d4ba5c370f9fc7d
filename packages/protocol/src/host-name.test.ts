import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { formatHostName, isSandboxId, parseHostName, parsePort } from './host-name.ts';

const DOMAIN = 'box.test';

const port = fc.integer({ min: 1, max: 65535 });
const alphabet = [...'abcdefghijklmnopqrstuvwxyz0123456789'];
const sandboxId = fc.string({ unit: fc.constantFrom(...alphabet), minLength: 1, maxLength: 57 });

describe('host name', () => {
  it('is read as it was written, in any case, with a port and a trailing dot', () => {
    fc.assert(
      fc.property(port, sandboxId, fc.boolean(), fc.boolean(), fc.option(port), (number, id, upper, dot, own) => {
        let name = formatHostName(number, id, DOMAIN);
        // A label has at most 63 characters (RFC 1035); an ID this long fits no port of five digits.
        fc.pre(name.indexOf('.') <= 63);
        if (upper) name = name.toUpperCase();
        if (dot) name += '.';
        if (own !== null) name += `:${own}`;
        assert.deepEqual(parseHostName(name, DOMAIN), { kind: 'sandbox', sandboxId: id, port: number });
      }),
    );
  });

  it('is read from any text without throwing, and only as something valid', () => {
    const piece = fc.constantFrom(
      '3000',
      '-',
      '.',
      'abc',
      'box',
      'test',
      ':',
      '0',
      'A',
      '[',
      ']',
      '::1',
      ' ',
      '_',
      '/',
      '@',
    );
    const text = fc.oneof(
      fc.string(),
      fc.array(piece).map((pieces) => pieces.join('')),
    );
    fc.assert(
      fc.property(text, (host) => {
        const name = parseHostName(host, DOMAIN);
        if (name.kind !== 'sandbox') return;
        assert.ok(isSandboxId(name.sandboxId), name.sandboxId);
        assert.equal(parsePort(String(name.port)), name.port);
      }),
    );
  });

  const cases: [string, ReturnType<typeof parseHostName>][] = [
    ['3000-abc.other.example', { kind: 'sandbox', sandboxId: 'abc', port: 3000 }],
    ['3000-abc-client.box.test', { kind: 'sandbox', sandboxId: 'abc', port: 3000 }],
    ['api.box.test', { kind: 'service', label: 'api' }],
    ['API.Box.Test:8443', { kind: 'service', label: 'api' }],
    ['box.test', { kind: 'service', label: '' }],
    ['sandbox.other.example', { kind: 'service', label: 'sandbox' }],
    ['api.other.example', { kind: 'invalid', reason: 'host' }],
    ['localhost:3000', { kind: 'local' }],
    ['127.0.0.1', { kind: 'local' }],
    ['[::1]:80', { kind: 'local' }],
    ['', { kind: 'invalid', reason: 'host' }],
    ['3000-abc', { kind: 'invalid', reason: 'host' }],
    ['3000-abc..test', { kind: 'invalid', reason: 'host' }],
    ['3000-abc.box.test:70000', { kind: 'invalid', reason: 'host' }],
    ['3000-abc.box.test/', { kind: 'invalid', reason: 'host' }],
    ['a@3000-abc.box.test', { kind: 'invalid', reason: 'host' }],
    ['0-abc.box.test', { kind: 'invalid', reason: 'sandbox-port' }],
    ['03000-abc.box.test', { kind: 'invalid', reason: 'sandbox-port' }],
    ['65536-abc.box.test', { kind: 'invalid', reason: 'sandbox-port' }],
    ['x-abc.box.test', { kind: 'invalid', reason: 'sandbox-port' }],
    ['3000-.box.test', { kind: 'invalid', reason: 'sandbox-id' }],
    ['3000-a_b.box.test', { kind: 'invalid', reason: 'sandbox-id' }],
  ];
  for (const [host, expected] of cases) {
    it(`reads "${host}" as ${expected.kind}`, () => assert.deepEqual(parseHostName(host, DOMAIN), expected));
  }

  it('is not written for a port or an ID that no host name can have', () => {
    for (const bad of [0, -1, 65536, 1.5, Number.NaN])
      assert.throws(() => formatHostName(bad, 'abc', DOMAIN), RangeError);
    for (const bad of ['', 'A', 'a-b', 'a.b', 'a'.repeat(58)]) {
      assert.throws(() => formatHostName(3000, bad, DOMAIN), RangeError);
    }
  });
});
