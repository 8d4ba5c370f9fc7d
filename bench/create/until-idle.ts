// Waits until a server has done what it does in the background: removing what ended, making ready what was taken.
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { waitFor } from '../../test/support/wait-for.ts';

/**
 * A removal ends with slot and disk, which follow the bundle and leave no trace that could be waited for; a start
 * begins with the bundle.
 */
const REST_MS = 1000;
const WAIT_MS = 120_000;

/**
 * @param data directory of a server
 * @param started how many sandboxes it has, with those that it keeps started
 * @param orMore whether it may keep more
 */
export async function untilIdle(data: string, started: number, orMore = false): Promise<void> {
  await waitFor(
    `${started} are started`,
    async () => {
      // Before the first there is no directory.
      const { length } = await readdir(join(data, 'bundles')).catch(() => []);
      return length === started || (orMore && length > started);
    },
    WAIT_MS,
  );
  await delay(REST_MS);
}
