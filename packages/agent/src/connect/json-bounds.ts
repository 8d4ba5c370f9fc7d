// What a JSON message may cost beyond its length: nesting and parts take many times their bytes once parsed.
import { ConnectError } from './connect-error.ts';
import { MAX_MESSAGE_DEPTH, MAX_MESSAGE_PARTS } from './limits.ts';

const [QUOTE, COMMA, BACKSLASH] = [0x22, 0x2c, 0x5c];
const [OPEN_ARRAY, CLOSE_ARRAY, OPEN_OBJECT, CLOSE_OBJECT] = [0x5b, 0x5d, 0x7b, 0x7d];

/** One pass over the bytes, without strings. @throws ConnectError on a message that is too deep or has too many parts */
export function checkJsonBounds(bytes: Buffer): void {
  let depth = 0;
  let parts = 0;
  for (let at = 0; at < bytes.length; at++) {
    const byte = bytes[at];
    if (byte === QUOTE) {
      at = endOfString(bytes, at);
      if (at === -1) return;
    } else if (byte === COMMA) {
      parts++;
    } else if (byte === OPEN_ARRAY || byte === OPEN_OBJECT) {
      parts++;
      depth++;
    } else if (byte === CLOSE_ARRAY || byte === CLOSE_OBJECT) {
      depth--;
    }
    if (depth > MAX_MESSAGE_DEPTH) {
      throw new ConnectError('invalid_argument', `the message nests deeper than ${MAX_MESSAGE_DEPTH} levels`);
    }
    if (parts > MAX_MESSAGE_PARTS) {
      throw new ConnectError('resource_exhausted', `the message has more than ${MAX_MESSAGE_PARTS} parts`);
    }
  }
}

/** The position of the closing quote; -1 when there is none, which the parser will say. */
function endOfString(bytes: Buffer, opening: number): number {
  let at = opening;
  for (;;) {
    at = bytes.indexOf(QUOTE, at + 1);
    if (at === -1) return -1;
    let backslashes = 0;
    while (bytes[at - 1 - backslashes] === BACKSLASH) backslashes++;
    if (backslashes % 2 === 0) return at;
  }
}
