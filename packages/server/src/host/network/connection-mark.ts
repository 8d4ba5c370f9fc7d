// Marks of connections in the kernel's table of them (ct mark), which all programs of a machine share: those that keep
// marks of packets there, as VPNs do, use the bits from 16 to 23, which stay 0 here.
import { randomInt } from 'node:crypto';

/**
 * Of connections that were refused after they had begun. What comes in on one that is denied is let through until the
 * sandbox has acknowledged it and was answered with a reset: without that its end would wait in vain.
 */
export const CUT = 0x5350;

const COUNT = 2 ** 24;
/** Not from 0: connections outlive the process, and keep the marks of the one before. */
let last = randomInt(COUNT);

/** A mark that no connection has. */
export function freshMark(): number {
  last = (last + 1) % COUNT;
  const mark = (Math.floor(last / 2 ** 16) * 2 ** 24 + (last % 2 ** 16)) >>> 0;
  return mark === 0 || mark === CUT ? freshMark() : mark;
}
