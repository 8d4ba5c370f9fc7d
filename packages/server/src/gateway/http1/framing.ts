// How a message says where its body ends (RFC 9112, section 6), read strictly: whatever two readers could understand
// in two ways is refused, because the second reader is a server that trusts the first.

import { equalsIgnoringCase } from './field-table.ts';

/** How the end of a body is found. */
export const Framing = {
  none: 0,
  length: 1,
  chunked: 2,
  /** A response that ends with its connection. */
  close: 3,
} as const;

/** Enough for 8 PiB, and exact as a number. */
const MAX_LENGTH_DIGITS = 15;

/** The number at [start, end) of `buf`, or -1 if it is anything but digits. */
export function readContentLength(buf: Uint8Array, start: number, end: number): number {
  const digits = end - start;
  if (digits < 1 || digits > MAX_LENGTH_DIGITS) return -1;
  let value = 0;
  for (let i = start; i < end; i++) {
    const digit = buf[i]! - 0x30;
    if (digit < 0 || digit > 9) return -1;
    value = value * 10 + digit;
  }
  return value;
}

/** Whether a Transfer-Encoding value is the one coding that is understood. */
export function isChunked(buf: Uint8Array, start: number, end: number): boolean {
  return equalsIgnoringCase(buf, start, end, 'chunked');
}
