import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { Sealer } from './sealer.ts';

const seed = randomBytes(32);

test('what is sealed can be opened again, and looks different every time', () => {
  const sealer = new Sealer(seed, 'a');
  for (const text of ['', 'secret', 'é😀\u0000', 'x'.repeat(100_000)]) {
    const [one, other] = [sealer.seal(text, 'c'), sealer.seal(text, 'c')];
    assert.notDeepEqual(one, other);
    assert.equal(new Sealer(seed, 'a').open(one, 'c'), text);
    assert.equal(sealer.open(other, 'c'), text);
    if (text === 'secret') assert(!Buffer.from(one).includes(text));
  }
});

test('another seed, purpose or context, a changed byte or a cut end opens nothing', () => {
  const sealer = new Sealer(seed, 'a');
  const sealed = sealer.seal('secret', 'c');
  assert.throws(() => new Sealer(randomBytes(32), 'a').open(sealed, 'c'));
  assert.throws(() => new Sealer(seed, 'b').open(sealed, 'c'));
  assert.throws(() => sealer.open(sealed, 'd'));
  for (let at = 0; at < sealed.length; at++) {
    const changed = Uint8Array.from(sealed);
    changed[at]! ^= 1;
    assert.throws(() => sealer.open(changed, 'c'), `byte ${at}`);
    assert.throws(() => sealer.open(sealed.subarray(0, at), 'c'), `${at} bytes`);
  }
});
