// The parent cgroup of an instance's sandboxes, which the runtimes make and nobody but Sandport removes.
import { existsSync } from 'node:fs';
import { readdir, rmdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';

const MOUNT = '/sys/fs/cgroup';

/** Whether the machine has the unified hierarchy (cgroup v2) only. */
export function isUnified(): boolean {
  return existsSync(join(MOUNT, 'cgroup.controllers'));
}

/** Removes an instance's parent cgroup and empty leaves under it, in every hierarchy. */
export async function removeCgroups(parent: string): Promise<void> {
  const hierarchies = isUnified() ? [MOUNT] : (await readdir(MOUNT).catch(() => [])).map((name) => join(MOUNT, name));
  for (const hierarchy of hierarchies) {
    await removeTree(join(hierarchy, parent));
    // The parent of all instances goes with the last of them; until then it is not empty.
    await rmdir(join(hierarchy, dirname(parent))).catch(() => {});
  }
}

async function removeTree(directory: string): Promise<void> {
  const entries = await readdir(directory, { withFileTypes: true }).catch(() => []);
  for (const entry of entries) if (entry.isDirectory()) await removeTree(join(directory, entry.name));
  await rmdir(directory).catch(() => {
    // Another hierarchy's name for the same group, or a task that is just ending.
  });
}
