// Waits until a server has done what it does in the background: removing what ended, making ready what was taken.
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { waitFor } from '../../test/support/wait-for.ts';

/** A removal ends with slot and disk, which follow the bundle and leave no trace that could be waited for. */
const REST_MS = 400;

/** @param data directory of a server that has no sandbox */
export async function untilIdle(data: string): Promise<void> {
  await waitFor('the removed sandbox is gone', async () => (await readdir(join(data, 'bundles'))).length === 0);
  await delay(REST_MS);
}
