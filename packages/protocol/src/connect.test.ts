import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { connectCodes, encodeFrame, FLAG_END_STREAM, type Frame, FrameReader, writeFrameHeader } from './connect.ts';

function read(reader: FrameReader, chunks: readonly Uint8Array[]): Frame[] {
  return chunks.flatMap((chunk) => reader.push(chunk));
}

test('a frame is one flag byte, a big-endian length of the bytes, and the payload', () => {
  const frame = encodeFrame(FLAG_END_STREAM, { é: 1 });
  assert.deepEqual([...frame.subarray(0, 5)], [2, 0, 0, 0, 8]);
  assert.equal(Buffer.from(frame.subarray(5)).toString(), '{"é":1}');
  const header = new Uint8Array(7);
  writeFrameHeader(header.subarray(1, 6), 1, 0xfedcba98);
  assert.deepEqual([...header], [0, 1, 0xfe, 0xdc, 0xba, 0x98, 0]);
});

test('frames come out as they went in, however the bytes are cut', () => {
  const frame = fc.tuple(fc.integer({ min: 0, max: 255 }), fc.uint8Array({ maxLength: 40 }));
  const cuts = fc.array(fc.integer({ min: 0, max: 12 }), { minLength: 1, maxLength: 20 });
  fc.assert(
    fc.property(fc.array(frame, { maxLength: 6 }), cuts, (frames, sizes) => {
      const bytes = Buffer.concat(
        frames.map(([flags, payload]) => {
          const header = new Uint8Array(5);
          writeFrameHeader(header, flags, payload.length);
          return Buffer.concat([header, payload]);
        }),
      );
      const chunks: Uint8Array[] = [];
      for (let offset = 0, turn = 0; offset < bytes.length; turn++) {
        // Pieces of no bytes are among them; the last of the sizes is never 0 for long.
        const size = sizes[turn % sizes.length]! + (turn % sizes.length === 0 ? 1 : 0);
        chunks.push(Uint8Array.from(bytes.subarray(offset, offset + size)));
        offset += size;
      }
      const reader = new FrameReader(40);
      const seen = read(reader, chunks).map(({ flags, payload }) => [flags, Uint8Array.from(payload)]);
      assert.deepEqual(seen, frames);
      assert.equal(reader.pending, 0);
    }),
    { numRuns: 1000 },
  );
});

test('what of a frame has come is pending until the rest has', () => {
  const reader = new FrameReader(100);
  const frame = encodeFrame(0, {});
  assert.deepEqual(reader.push(frame.subarray(0, 6)), []);
  assert.equal(reader.pending, 6);
  assert.equal(reader.push(Buffer.concat([frame.subarray(6), frame.subarray(0, 3)])).length, 1);
  assert.equal(reader.pending, 3);
});

test('a frame may be as long as the limit; a longer one is refused by its header alone', () => {
  const header = new Uint8Array(5);
  writeFrameHeader(header, 0, 10);
  assert.equal(read(new FrameReader(10), [header, new Uint8Array(10)]).length, 1);
  assert.throws(() => new FrameReader(9).push(header), /frame of 10 bytes is longer than the limit of 9/);
  writeFrameHeader(header, 0, 0xffffffff);
  assert.throws(() => new FrameReader(10).push(header), RangeError);
});

test('frames that were read do not change with what comes later', () => {
  const reader = new FrameReader(100);
  const [first] = read(reader, [encodeFrame(0, 'one').subarray(0, 4), encodeFrame(0, 'one').subarray(4)]);
  read(reader, [encodeFrame(0, 'two!').subarray(0, 4), encodeFrame(0, 'two!').subarray(4)]);
  assert.equal(Buffer.from(first!.payload).toString(), '"one"');
});

test('every Connect code has the HTTP status of an error', () => {
  assert.equal(Object.keys(connectCodes).length, 16);
  for (const status of Object.values(connectCodes)) assert(status >= 400 && status < 600);
});
