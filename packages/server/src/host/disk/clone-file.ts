// Copies that share their blocks until one side is changed (FICLONE, ioctl_ficlone(2)): btrfs, XFS, bcachefs.
import { constants } from 'node:fs';
import { copyFile, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/** Of a file system that has no such copies, or between two of them. */
const CANNOT = new Set(['ENOTSUP', 'EOPNOTSUPP', 'EXDEV', 'EINVAL', 'ENOSYS', 'ENOTTY']);

/** False, with no file made, where the file system cannot. */
export async function cloneFile(source: string, target: string): Promise<boolean> {
  try {
    await copyFile(source, target, constants.COPYFILE_FICLONE_FORCE | constants.COPYFILE_EXCL);
    return true;
  } catch (error) {
    if (!CANNOT.has((error as NodeJS.ErrnoException).code ?? '')) throw error;
    await rm(target, { force: true });
    return false;
  }
}

/** Tries it in a directory that can be written to. */
export async function sharesCopies(directory: string): Promise<boolean> {
  const place = await mkdtemp(join(directory, '.clone-'));
  try {
    await writeFile(join(place, 'one'), Buffer.alloc(65_536, 1));
    return await cloneFile(join(place, 'one'), join(place, 'two'));
  } finally {
    await rm(place, { recursive: true, force: true });
  }
}
