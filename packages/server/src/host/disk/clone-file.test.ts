// On file systems of its own, each in a file: what a test machine keeps /tmp on can rarely share blocks.
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { mkdir, mkdtempDisposable, open, readFile, statfs, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { runCommand } from '../run-command.ts';
import { cloneFile, sharesCopies } from './clone-file.ts';
import { DiskStore } from './sandbox-disk.ts';

const IMAGE_MB = 512;
/** What its inode tables take, and a copy of them would, is some megabytes. */
const DISK_MB = 10_240;
const DISKS = 6;

/** Undefined, with the test skipped, where the machine cannot make one. */
async function mounted(context: TestContext, kind: 'btrfs' | 'xfs' | 'ext4'): Promise<string | undefined> {
  const able = process.getuid?.() === 0 && (await readFile('/proc/filesystems', 'utf8')).includes(`\t${kind}\n`);
  if (!able || !existsSync(`/usr/sbin/mkfs.${kind}`)) {
    context.skip(`needs root, mkfs.${kind} and a kernel with ${kind}`);
    return undefined;
  }
  const directory = await mkdtempDisposable(join(tmpdir(), 'sandport-clone-'));
  const image = join(directory.path, 'image');
  const place = join(directory.path, 'mount');
  await mkdir(place);
  const file = await open(image, 'w');
  await file.truncate(IMAGE_MB * 1024 ** 2);
  await file.close();
  await runCommand(`mkfs.${kind}`, ['-q', image]);
  await runCommand('mount', ['-o', 'loop', image, place]);
  context.after(async () => {
    await runCommand('umount', ['--lazy', place]);
    await directory.remove();
  });
  return place;
}

async function usedBytes(directory: string): Promise<number> {
  await runCommand('sync', ['--file-system', directory]);
  const { blocks, bfree, bsize } = await statfs(directory);
  return (blocks - bfree) * bsize;
}

/** Bytes that each of some empty disks takes. */
async function costOfDisk(context: TestContext, place: string): Promise<number> {
  const store = new DiskStore(join(place, 'disks'));
  const disks = [await store.create(DISK_MB)];
  context.after(async () => {
    for (const { name } of disks) await store.remove(name);
    // The kernel lets go of a device, and so of what it lies on, a moment after its mount.
    while ((await runCommand('losetup', ['--list', '--noheadings', '--output', 'BACK-FILE'])).includes(place)) {
      await delay(10);
    }
  });
  const before = await usedBytes(place);
  for (let more = 0; more < DISKS; more++) disks.push(await store.create(DISK_MB));
  return ((await usedBytes(place)) - before) / DISKS;
}

for (const kind of ['btrfs', 'xfs'] as const) {
  test(`disks on ${kind} share what they have in common, and a change stays with one`, async (context) => {
    const place = await mounted(context, kind);
    if (place === undefined) return;
    assert.equal(await sharesCopies(place), true);
    const [one, two] = [join(place, 'one'), join(place, 'two')];
    await writeFile(one, 'before');
    assert.equal(await cloneFile(one, two), true);
    await writeFile(two, 'after');
    assert.equal(await readFile(one, 'utf8'), 'before');
    const shared = await costOfDisk(context, place);
    const whole = await mounted(context, 'ext4');
    if (whole === undefined) return;
    const copied = await costOfDisk(context, whole);
    context.diagnostic(
      `an empty disk: ${Math.round(shared / 1024)} KiB shared, ${Math.round(copied / 1024)} KiB copied`,
    );
    assert(shared < copied / 2, `${shared} of ${copied} bytes`);
  });
}

test('where copies cannot share blocks it is said, and nothing is left of the try', async (context) => {
  const place = await mounted(context, 'ext4');
  if (place === undefined) return;
  assert.equal(await sharesCopies(place), false);
  await writeFile(join(place, 'one'), 'text');
  assert.equal(await cloneFile(join(place, 'one'), join(place, 'two')), false);
  assert.equal(existsSync(join(place, 'two')), false);
});
