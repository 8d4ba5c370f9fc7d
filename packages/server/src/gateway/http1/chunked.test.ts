import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { limits } from '../limits.ts';
import { ChunkedReader } from './chunked.ts';

/** Feeds `text` in pieces that end at `cuts`; gives back the contents, and the bytes after the body. */
function decode(text: string, cuts: readonly number[] = []) {
  const reader = new ChunkedReader();
  const buf = Buffer.from(text, 'latin1');
  let contents = '';
  const data = {
    onChunkData(from: Buffer, start: number, end: number) {
      contents += from.toString('latin1', start, end);
    },
  };
  const stops = [...new Set([...cuts.map((cut) => cut % (buf.length + 1)), buf.length])].sort((a, b) => a - b);
  let from = 0;
  for (const stop of stops) {
    const pos = reader.read(buf, from, stop, data);
    if (reader.done || reader.failed) {
      return {
        contents,
        failed: reader.failed,
        done: reader.done,
        rest: text.slice(pos),
        trailer: reader.trailer.toString(),
      };
    }
    assert.equal(pos, stop);
    from = stop;
  }
  return { contents, failed: false, done: false, rest: '', trailer: '' };
}

describe('chunked body', () => {
  it('gives back what was put in, however it is cut, and stops at its end', () => {
    const chunk = fc.tuple(fc.string({ unit: 'binary', minLength: 1 }), fc.constantFrom('', ';a=b', ' ;x'));
    fc.assert(
      fc.property(fc.array(chunk), fc.array(fc.nat(500)), fc.boolean(), (chunks, cuts, trailers) => {
        const latin1 = chunks.map(([text, ext]) => [Buffer.from(text).toString('latin1'), ext] as const);
        const body = latin1.map(([text, ext]) => `${text.length.toString(16)}${ext}\r\n${text}\r\n`).join('');
        const section = trailers ? 'A: b\r\nC: d\r\n\r\n' : '';
        const result = decode(`${body}0\r\n${section || '\r\n'}GET / HTTP/1.1`, cuts);
        assert.equal(result.contents, latin1.map(([text]) => text).join(''));
        assert.equal(result.done, true);
        assert.equal(result.rest, 'GET / HTTP/1.1');
        assert.equal(result.trailer, section);
      }),
    );
  });

  it('never throws, and never takes more than it was given', () => {
    const piece = fc.constantFrom('0', '1', 'a', 'F', '\r\n', '\r', '\n', ';', ' ', 'xyz', 'A: b', '\0');
    fc.assert(
      fc.property(fc.array(piece), fc.array(fc.nat(50)), (pieces, cuts) => decode(pieces.join(''), cuts).rest !== null),
    );
  });

  const refused: Record<string, string> = {
    'an empty size': '\r\n',
    'a size with a sign': '+1\r\na\r\n',
    'a size with 0x': '0x1\r\na\r\n',
    'a space before the size': ' 1\r\na\r\n',
    'a space after the size': '1 \r\na\r\n',
    'a tab after the size': '1\t\r\na\r\n',
    'a space within the size': '1 0\r\na\r\n',
    'a negative size': '-1\r\n',
    'a size that overflows': 'fffffffffffffffff\r\n',
    'a size line that ends in LF': '1\na\r\n0\r\n\r\n',
    'a bare CR in the size line': '1\ra\r\n',
    'an extension with a control character': '1;a\x01\r\na\r\n',
    'an extension with a bare LF': '1;a\nb\r\n',
    'data longer than its size': '1\r\nab\r\n',
    'data that ends in LF': '1\r\na\n0\r\n\r\n',
    'an end without CR': '0\r\n\n',
    'a trailer line that is malformed': '0\r\nA : b\r\n\r\n',
    'a trailer that frames': '0\r\nContent-Length: 1\r\n\r\n',
    'a trailer that routes': '0\r\nHost: other\r\n\r\n',
    'a trailer that speaks for the gateway': '0\r\nX-Forwarded-For: 1\r\n\r\n',
    'an endless extension': `1;${'a'.repeat(limits.chunkLineBytes + 1)}`,
    'an endless trailer': `0\r\nA: ${'b'.repeat(limits.trailerBytes)}`,
  };
  for (const [what, text] of Object.entries(refused)) {
    it(`refuses ${what}`, () => {
      assert.equal(decode(text).failed, true);
      // Byte by byte too.
      assert.equal(
        decode(
          text,
          [...text].map((_, i) => i),
        ).failed,
        true,
      );
    });
  }
});
