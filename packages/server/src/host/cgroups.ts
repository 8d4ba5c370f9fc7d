// The parent cgroup of an instance's sandboxes, which the runtimes make and nobody but Sandport removes.
import { existsSync } from 'node:fs';
import { readdir, rmdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

const MOUNT = '/sys/fs/cgroup';
/** For tasks that are just ending, of which a fork bomb leaves hundreds, to leave their groups. */
const ENDING_MS = 5000;
const LOOK_MS = 20;

/** Whether the machine has the unified hierarchy (cgroup v2) only. */
export function isUnified(): boolean {
  return existsSync(join(MOUNT, 'cgroup.controllers'));
}

/** Removes an instance's parent cgroup and those under it, in every hierarchy, where nothing runs in them any more. */
export async function removeCgroups(parent: string): Promise<void> {
  const hierarchies = isUnified() ? [MOUNT] : (await readdir(MOUNT).catch(() => [])).map((name) => join(MOUNT, name));
  const deadline = performance.now() + ENDING_MS;
  for (const hierarchy of hierarchies) {
    await removeTree(join(hierarchy, parent), deadline);
    // The parent of all instances goes with the last of them; until then it is not empty.
    await rmdir(join(hierarchy, dirname(parent))).catch(() => {});
  }
}

async function removeTree(directory: string, deadline: number): Promise<void> {
  const entries = await readdir(directory, { withFileTypes: true }).catch(() => []);
  for (const entry of entries) if (entry.isDirectory()) await removeTree(join(directory, entry.name), deadline);
  const remove = (): Promise<string | undefined> =>
    rmdir(directory).then(
      () => undefined,
      (error: NodeJS.ErrnoException) => error.code,
    );
  // Any other failure is another hierarchy's name for the same group, which has gone with it.
  while ((await remove()) === 'EBUSY' && performance.now() < deadline) await delay(LOOK_MS);
}
