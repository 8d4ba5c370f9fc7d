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

/**
 * @param data directory of a server that has no sandbox
 * @param ahead how many it keeps started
 */
export async function untilIdle(data: string, ahead: number): Promise<void> {
  await waitFor(`${ahead} are started`, async () => (await readdir(join(data, 'bundles'))).length === ahead);
  await delay(REST_MS);
}
