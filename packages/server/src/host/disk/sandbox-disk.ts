// The disk of a sandbox: a file system of its own in a sparse file, so that its size is a limit and its end is an unlink.
import { existsSync } from 'node:fs';
import { link, mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { CommandError, runCommand } from '../run-command.ts';
import { cloneFile } from './clone-file.ts';

export interface SandboxDisk {
  readonly name: string;
  /** Where it is mounted. */
  readonly directory: string;
}

/** All that was written goes to the machine's disk before. */
const FREEZE_MS = 120_000;
const REPAIR_MS = 120_000;
const UNMOUNT_MS = 5000;
const UNMOUNT_RETRY_MS = 10;

export class DiskStore {
  readonly #root: string;
  /** Until the file system has shown that it cannot. */
  #sharesCopies = true;
  #next = 0;

  /** @param root directory on a file system with room for all disks */
  constructor(root: string) {
    this.#root = root;
  }

  /** Makes and mounts an empty disk of `sizeMB` mebibytes. */
  async create(sizeMB: number): Promise<SandboxDisk> {
    return this.#mount(await this.#template(sizeMB), (template, image) => this.#copy(template, image));
  }

  /** Mounts what `save` has written. It is changed from now on: there is one file under two names. */
  async open(saved: string): Promise<SandboxDisk> {
    return this.#mount(saved, async (source, image) => {
      await link(source, image);
      await repair(image);
    });
  }

  /**
   * Gives the disk a second name, under which it is whole: frozen until `thaw`, so that all that was written is in its
   * file and nothing comes after.
   */
  async save(name: string, saved: string): Promise<void> {
    await runCommand('fsfreeze', ['--freeze', this.directoryOf(name)], { timeoutMs: FREEZE_MS });
    await link(join(this.#root, name, 'image'), saved);
  }

  /** No error for one that is not frozen, or not there. */
  async thaw(name: string): Promise<void> {
    const directory = this.directoryOf(name);
    if (!(await isMounted(directory))) return;
    await runCommand('fsfreeze', ['--unfreeze', directory]).catch((error: unknown) => {
      if (!/Invalid argument/.test(String(error))) throw error;
    });
  }

  /** Unmounts a disk, so that all that was written is in its file. Fails while something uses it. */
  async unmount(name: string): Promise<void> {
    const directory = this.directoryOf(name);
    for (const deadline = Date.now() + UNMOUNT_MS; await isMounted(directory); ) {
      try {
        await runCommand('umount', [directory]);
      } catch (error) {
        // A container that was just removed may still hold it for a moment.
        if (Date.now() > deadline) throw error;
        await delay(UNMOUNT_RETRY_MS);
      }
    }
  }

  /** Sharing what it can; else without the holes, which are nearly all of it. */
  async #copy(source: string, target: string): Promise<void> {
    if (this.#sharesCopies) this.#sharesCopies = await cloneFile(source, target);
    if (!this.#sharesCopies) await runCommand('cp', ['--sparse=always', '--reflink=never', source, target]);
  }

  async #mount(source: string, make: (source: string, image: string) => Promise<unknown>): Promise<SandboxDisk> {
    const name = `disk-${Date.now().toString(36)}-${(this.#next++).toString(36)}`;
    const place = join(this.#root, name);
    const directory = join(place, 'mount');
    await mkdir(directory, { recursive: true, mode: 0o755 });
    try {
      await make(source, join(place, 'image'));
      await runCommand('mount', [
        '-t',
        'ext4',
        '-o',
        'loop,discard,noatime,nosuid,nodev',
        join(place, 'image'),
        directory,
      ]);
    } catch (error) {
      await rm(place, { recursive: true, force: true });
      throw error;
    }
    return { name, directory };
  }

  /** Unmounts and removes a disk. No error when it is gone. */
  async remove(name: string): Promise<void> {
    const place = join(this.#root, name);
    const directory = join(place, 'mount');
    if (await isMounted(directory)) await runCommand('umount', ['--lazy', directory], { background: true });
    await rm(place, { recursive: true, force: true });
  }

  /** Names of the disks there are, mounted or not. */
  async list(): Promise<string[]> {
    const names = await readdir(this.#root).catch(() => []);
    return names.filter((name) => name.startsWith('disk-'));
  }

  directoryOf(name: string): string {
    return join(this.#root, name, 'mount');
  }

  /** An empty file system made once for each size and copied from then on: only what mkfs wrote is copied. */
  async #template(sizeMB: number): Promise<string> {
    const path = join(this.#root, `template-${sizeMB}.ext4`);
    if (existsSync(path)) return path;
    await mkdir(this.#root, { recursive: true, mode: 0o700 });
    const temporary = `${path}.${process.pid}.${this.#next++}`;
    try {
      const file = await open(temporary, 'w', 0o600);
      try {
        await file.truncate(sizeMB * 1024 * 1024);
      } finally {
        await file.close();
      }
      // No journal: a sandbox's disk does not outlive a crash of the machine. No reserved blocks: nothing here is root's.
      const features = ['-O', '^has_journal', '-m', '0', '-E', 'lazy_itable_init=1,nodiscard', '-i', '65536'];
      await runCommand('mkfs.ext4', ['-q', '-F', ...features, temporary], { timeoutMs: 120_000 });
      await rename(temporary, path);
    } catch (error) {
      await rm(temporary, { force: true });
      throw error;
    }
    return path;
  }
}

/** What was not unmounted, as the machine has stopped, is looked through; an error is thrown where it cannot be mended. */
async function repair(image: string): Promise<void> {
  if (await isClean(image)) return;
  // -p mends what is safe to mend; 1 says that it did (e2fsck(8)).
  await runCommand('e2fsck', ['-p', image], { timeoutMs: REPAIR_MS }).catch((error: unknown) => {
    if (!(error instanceof CommandError && error.exitCode === 1)) throw error;
  });
}

/** Whether the file system was unmounted: bit 0 of `s_state` of its superblock (ext4's on-disk format). */
async function isClean(image: string): Promise<boolean> {
  const file = await open(image, 'r');
  try {
    const { buffer } = await file.read(Buffer.alloc(2), 0, 2, 1024 + 0x3a);
    return (buffer[0]! & 1) === 1;
  } finally {
    await file.close();
  }
}

/** By the device: the table of mounts is long where sandboxes are many. */
async function isMounted(directory: string): Promise<boolean> {
  try {
    const [own, above] = await Promise.all([stat(directory), stat(dirname(directory))]);
    return own.dev !== above.dev;
  } catch (error) {
    // What cannot be looked at is a file system that has failed.
    return (error as NodeJS.ErrnoException).code !== 'ENOENT';
  }
}
