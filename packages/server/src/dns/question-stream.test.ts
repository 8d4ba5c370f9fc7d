import assert from 'node:assert/strict';
import { Duplex } from 'node:stream';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { serveQuestions } from './question-stream.ts';
import { withLength } from './upstream.ts';

const QUESTIONS = 1000;

/** A stream whose other side sends the questions, and reads as `write` says. */
function streamOf(write: (chunk: Buffer, done: () => void) => void): Duplex {
  const questions = Array.from({ length: QUESTIONS }, (_, index) => withLength(Buffer.from([index >> 8, index & 255])));
  return new Duplex({
    read() {
      this.push(questions.shift() ?? null);
    },
    write: (chunk, _encoding, done) => write(chunk, done),
  });
}

async function settle(): Promise<void> {
  for (let count = 0; count < 50; count++) await turn();
}

test('an asker that reads nothing is asked nothing more', async () => {
  let asked = 0;
  const stream = streamOf(() => {});
  serveQuestions(stream, async () => {
    asked++;
    return Buffer.alloc(10_000);
  });
  await settle();
  assert(asked > 0 && asked < 20, `${asked} of ${QUESTIONS}`);
  assert(stream.writableLength < 200_000);
  stream.destroy();
});

test('questions of one stream are answered a few at a time, and all of them', async () => {
  const waiting: (() => void)[] = [];
  const answered: number[] = [];
  const stream = streamOf((chunk, done) => {
    answered.push(chunk.readUInt16BE(2));
    done();
  });
  serveQuestions(stream, (query) => new Promise((resolve) => waiting.push(() => resolve(query))));
  await settle();
  assert(waiting.length > 0 && waiting.length < 20, `${waiting.length}`);
  while (answered.length < QUESTIONS) {
    for (const resolve of waiting.splice(0)) resolve();
    await turn();
  }
  assert.deepEqual(answered, [...Array(QUESTIONS).keys()]);
  stream.destroy();
});
