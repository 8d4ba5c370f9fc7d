// Waiting for a condition, with a bound.
import { setTimeout as delay } from 'node:timers/promises';

const STEP_MS = 50;

/** Thrown by `look` when there is nothing to wait for any more. */
export class Hopeless extends Error {}

/** Calls `look` until it returns something other than undefined or false. A throw counts as "not yet". */
export async function waitFor<T>(
  what: string,
  look: () => Promise<T | undefined | false> | T | undefined | false,
  timeoutMs = 30_000,
): Promise<T> {
  const deadline = Date.now() + timeoutMs;
  let last: unknown;
  for (;;) {
    try {
      const value = await look();
      if (value !== undefined && value !== false) return value;
    } catch (error) {
      if (error instanceof Hopeless) throw error;
      last = error;
    }
    if (Date.now() > deadline) throw new Error(`${what}: not within ${timeoutMs} ms`, { cause: last });
    await delay(STEP_MS);
  }
}
