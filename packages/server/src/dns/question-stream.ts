// Questions that come over one stream, each behind its length (RFC 1035, section 4.2.2). The asker is hostile: it may send
// without end, and read nothing of what it is answered.
import type { Duplex } from 'node:stream';
import { withLength } from './upstream.ts';

/** Bytes of answers that the asker has not read: no further question is taken until it does. */
const MAX_UNREAD = 65_536;
/** Questions that are being answered. */
const MAX_IN_FLIGHT = 8;

/** @param answer undefined: the question gets none */
export function serveQuestions(stream: Duplex, answer: (query: Buffer) => Promise<Buffer | undefined>): void {
  let received: Buffer = Buffer.alloc(0);
  let inFlight = 0;
  const mayTake = (): boolean => inFlight < MAX_IN_FLIGHT && stream.writableLength <= MAX_UNREAD;

  const take = (): void => {
    while (mayTake() && received.length >= 2 && received.length >= 2 + received.readUInt16BE(0)) {
      const query = received.subarray(2, 2 + received.readUInt16BE(0));
      received = received.subarray(2 + query.length);
      inFlight++;
      void answer(query).then(finish);
    }
    if (mayTake()) stream.resume();
    else stream.pause();
  };

  const finish = (message: Buffer | undefined): void => {
    inFlight--;
    if (!stream.writable) return;
    if (message !== undefined) stream.write(withLength(message));
    take();
  };

  stream.on('drain', take);
  stream.on('data', (chunk: Buffer) => {
    received = Buffer.concat([received, chunk]);
    take();
  });
}
