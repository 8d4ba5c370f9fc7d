import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { RequestGuard } from './request-guard.ts';

const GET = 'GET / HTTP/1.1\r\nHost: a.test\r\n\r\n';
const LENGTH = 'POST / HTTP/1.1\r\nHost: A.test:80\r\nContent-Length: 5\r\n\r\nhello';
const CHUNKED = 'POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n';
const OTHER = 'GET / HTTP/1.1\r\nHost: b.test\r\n\r\n';

/** What goes on of a text that comes in pieces, and whether it was stopped. */
function pass(text: string, cuts: readonly number[]): { passed: string; stop: boolean } {
  const guard = new RequestGuard('a.test');
  const bounds = [0, ...cuts.map((cut) => cut % (text.length + 1)).sort((a, b) => a - b), text.length];
  let passed = '';
  for (let index = 1; index < bounds.length; index++) {
    const { bytes, stop } = guard.take(Buffer.from(text.slice(bounds[index - 1], bounds[index])));
    passed += bytes;
    if (stop) return { passed, stop };
  }
  return { passed, stop: false };
}

test('requests for the host go on as they are, in whatever pieces they come, up to one for another', () => {
  const requests = fc.array(fc.constantFrom(GET, LENGTH, CHUNKED), { maxLength: 5 });
  fc.assert(
    fc.property(requests, fc.array(fc.nat(2000), { maxLength: 20 }), fc.boolean(), (list, cuts, ends) => {
      const own = list.join('');
      const { passed, stop } = pass(ends ? own : own + OTHER + GET, cuts);
      assert.deepEqual([passed, stop], [own, !ends]);
    }),
  );
});

test('a body that hides a request stays a body, and what frames a message twice is stopped', () => {
  const hidden = `POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: ${OTHER.length}\r\n\r\n${OTHER}`;
  assert.deepEqual(pass(hidden + GET, []), { passed: hidden + GET, stop: false });
  for (const bad of [
    `POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${OTHER}`,
    'GET / HTTP/1.1\r\nHost: a.test\r\nHost: b.test\r\n\r\n',
    'GET http://b.test/ HTTP/1.1\r\nHost: a.test\r\n\r\n',
    'GET / HTTP/1.1\r\nHost: a.test\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n',
    'GET / HTTP/1.1\r\nHost : a.test\r\n\r\n',
    'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
  ]) {
    assert.deepEqual(pass(GET + bad, []), { passed: GET, stop: true }, bad);
  }
});

test('a head that never ends is stopped', () => {
  const guard = new RequestGuard('a.test');
  let pieces = 0;
  while (!guard.take(Buffer.from(pieces === 0 ? 'GET / HTTP/1.1\r\n' : 'X-A: b\r\n')).stop) pieces++;
  assert(pieces <= 100);
});
