// The second variant of the image, for runc: its containers have a user namespace in which ID 0 is 100000 outside, so
// the tree's owners are shifted by as much. A copy, because the first variant is in use as it is.
import { chmodSync, lchownSync, lstatSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { run } from '../run.js';

/** First of the 65536 IDs that containers of runc have outside: 100000 to 165535. */
export const FIRST_ID = 100_000;

/**
 * @param {string} rootfs
 * @param {string} shifted is created
 */
export async function copyWithShiftedIds(rootfs, shifted) {
  await run('cp', ['--archive', '--reflink=auto', rootfs, shifted]);
  shiftTree(shifted, new Set());
  await restoreCapabilities(rootfs, shifted);
}

/**
 * @param {string} path
 * @param {Set<number>} seen inodes with several names that are done; shifting one twice would be wrong
 */
function shiftTree(path, seen) {
  const stats = lstatSync(path);
  if (stats.nlink > 1 && !stats.isDirectory()) {
    if (seen.has(stats.ino)) return;
    seen.add(stats.ino);
  }
  lchownSync(path, FIRST_ID + stats.uid, FIRST_ID + stats.gid);
  // chown(2) takes the set-user-ID and set-group-ID bits away.
  if (!stats.isSymbolicLink() && (stats.mode & 0o6000) !== 0) chmodSync(path, stats.mode & 0o7777);
  if (!stats.isDirectory()) return;
  for (const name of readdirSync(path)) shiftTree(join(path, name), seen);
}

/**
 * File capabilities go with a change of owner too, and count in a user namespace only when they name its root
 * (capabilities(7), "Namespaced file capabilities"). The image's own getcap and setcap read and write them.
 *
 * @param {string} rootfs
 * @param {string} shifted
 */
async function restoreCapabilities(rootfs, shifted) {
  for (const line of (await run('chroot', [rootfs, '/usr/sbin/getcap', '-r', '/usr'])).split('\n')) {
    const match = /^(\/\S+) (\S+)$/.exec(line);
    if (match === null) continue;
    await run('chroot', [shifted, '/usr/sbin/setcap', '-n', String(FIRST_ID), match[2], match[1]]);
  }
}
