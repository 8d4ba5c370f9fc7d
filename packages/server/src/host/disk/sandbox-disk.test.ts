import assert from 'node:assert/strict';
import { copyFile, mkdtempDisposable, open, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { DiskStore } from './sandbox-disk.ts';

const SIZE_MB = 32;
const needsRoot = { skip: process.getuid?.() !== 0, timeout: 60_000 };

async function openStore(context: TestContext): Promise<{ store: DiskStore; root: string }> {
  // A space, as in a data directory of someone's choice.
  const directory = await mkdtempDisposable(join(tmpdir(), 'sandport disk-'));
  const store = new DiskStore(directory.path);
  context.after(async () => {
    for (const name of await store.list()) await store.remove(name);
    await directory.remove();
  });
  return { store, root: directory.path };
}

async function mounts(root: string): Promise<number> {
  const table = await readFile('/proc/self/mountinfo', 'utf8');
  return table.split(root.replaceAll(' ', '\\040')).length - 1;
}

/** Loop devices whose file is, or was before its removal, below `root`. */
async function loopDevices(root: string): Promise<string[]> {
  const names = (await readdir('/sys/block')).filter((name) => name.startsWith('loop'));
  const files = names.map((name) => readFile(`/sys/block/${name}/loop/backing_file`, 'utf8').catch(() => ''));
  return (await Promise.all(files)).filter((file) => file.startsWith(root));
}

/** The kernel lets go of a device a moment after its mount. */
async function noLoopDevices(root: string): Promise<void> {
  while ((await loopDevices(root)).length > 0) await delay(10);
}

test('a disk takes as much as its size, then says that it is full', needsRoot, async (context) => {
  const { store } = await openStore(context);
  const disk = await store.create(SIZE_MB);
  const file = await open(join(disk.directory, 'big'), 'w');
  const megabyte = Buffer.alloc(1024 * 1024, 1);
  let written = 0;
  try {
    await assert.rejects(
      async () => {
        for (; written <= SIZE_MB; written++) await file.writeFile(megabyte);
      },
      { code: 'ENOSPC' },
    );
  } finally {
    await file.close();
  }
  assert(written > SIZE_MB * 0.8, `${written} MiB`);
});

test('a new disk is empty and uses next to nothing of its size', needsRoot, async (context) => {
  const { store, root } = await openStore(context);
  const disk = await store.create(512);
  assert.deepEqual(await readdir(disk.directory), ['lost+found']);
  const image = await stat(join(root, disk.name, 'image'));
  assert.equal(image.size, 512 * 1024 * 1024);
  assert(image.blocks * 512 < 16 * 1024 * 1024, `${image.blocks * 512} bytes`);
});

test('a program on a disk gains no rights by its mode', needsRoot, async (context) => {
  const { store, root } = await openStore(context);
  await store.create(SIZE_MB);
  const table = (await readFile('/proc/self/mountinfo', 'utf8')).split('\n');
  const line = table.find((entry) => entry.includes(root.replaceAll(' ', '\\040')));
  assert.match(line ?? '', /\bnosuid\b.*\bnodev\b/);
});

test('disks that are made at once are separate, also when the first of their size', needsRoot, async (context) => {
  const { store, root } = await openStore(context);
  const disks = await Promise.all([store.create(SIZE_MB), store.create(SIZE_MB), store.create(SIZE_MB)]);
  for (const [index, { directory }] of disks.entries()) await writeFile(join(directory, `file-${index}`), 'x');
  for (const [index, { directory }] of disks.entries()) {
    assert.deepEqual((await readdir(directory)).sort(), [`file-${index}`, 'lost+found']);
  }
  assert.deepEqual((await store.list()).sort(), disks.map(({ name }) => name).sort());
  assert.equal(await mounts(root), 3);
});

test(
  'a removed disk leaves no mount, loop device or file, and removing it again is nothing',
  needsRoot,
  async (context) => {
    const { store, root } = await openStore(context);
    const disk = await store.create(SIZE_MB);
    assert.equal((await loopDevices(root)).length, 1);
    assert.equal(store.directoryOf(disk.name), disk.directory);
    await store.remove(disk.name);
    assert.deepEqual(await store.list(), []);
    assert.equal(await mounts(root), 0);
    await noLoopDevices(root);
    assert.deepEqual(await readdir(root), [`template-${SIZE_MB}.ext4`]);
    await store.remove(disk.name);
  },
);

test(
  'a disk that is in use is removed all the same, and its device goes with the last user',
  needsRoot,
  async (context) => {
    const { store, root } = await openStore(context);
    const disk = await store.create(SIZE_MB);
    const file = await open(join(disk.directory, 'held'), 'w');
    try {
      await store.remove(disk.name);
      assert.deepEqual(await store.list(), []);
      assert.equal(await mounts(root), 0);
      assert.equal((await loopDevices(root)).length, 1);
    } finally {
      await file.close();
    }
    await noLoopDevices(root);
  },
);

test(
  'a saved disk is whole as it stands, takes nothing more until it is thawed, and is repaired where the machine has stopped',
  needsRoot,
  async (context) => {
    const { store, root } = await openStore(context);
    const disk = await store.create(SIZE_MB);
    await writeFile(join(disk.directory, 'before'), 'x'.repeat(100_000));
    const saved = join(root, 'saved.ext4');
    const copy = join(root, 'copy.ext4');
    let written: Promise<void> | undefined;
    try {
      await store.save(disk.name, saved);
      // The file as a machine that stops now has it: never unmounted.
      await copyFile(saved, copy);
      written = writeFile(join(disk.directory, 'after'), 'y');
      const opened = await store.open(copy);
      assert.equal(await readFile(join(opened.directory, 'before'), 'utf8'), 'x'.repeat(100_000));
      assert.deepEqual((await readdir(opened.directory)).sort(), ['before', 'lost+found']);
    } finally {
      await store.thaw(disk.name);
    }
    await written;
    await store.thaw(disk.name);
    await store.thaw('unknown');
    assert.equal(await readFile(join(disk.directory, 'after'), 'utf8'), 'y');
  },
);

test('a store that was never used has no disks', async () => {
  assert.deepEqual(await new DiskStore('/nonexistent/disks').list(), []);
});

test('a disk that cannot be made leaves nothing behind', needsRoot, async (context) => {
  const { store, root } = await openStore(context);
  // Too small for the file system.
  await assert.rejects(store.create(0));
  assert.deepEqual(await readdir(root), []);
});
