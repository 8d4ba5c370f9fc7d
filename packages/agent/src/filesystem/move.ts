// Moves a file or a tree, also to another file system, where it is copied and the original then removed.
import { constants } from 'node:fs';
import {
  chmod,
  copyFile,
  lchown,
  lstat,
  lutimes,
  mkdir,
  opendir,
  readlink,
  rename,
  rm,
  rmdir,
  symlink,
  unlink,
} from 'node:fs/promises';
import { join } from 'node:path';
import { ConnectError } from '../connect/connect-error.ts';

/** @throws Error with the system's code; a copy that failed is removed, and the original is whole */
export async function moveEntry(source: string, destination: string): Promise<void> {
  try {
    await rename(source, destination);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EXDEV') throw error;
    await moveByCopy(source, destination);
  }
}

async function moveByCopy(source: string, destination: string): Promise<void> {
  await makeRoom(source, destination);
  try {
    await copyEntry(source, destination);
  } catch (error) {
    await rm(destination, { recursive: true, force: true });
    throw error;
  }
  await rm(source, { recursive: true, force: true });
}

/** What rename(2) would replace goes: a file by a file, an empty directory by a directory. */
async function makeRoom(source: string, destination: string): Promise<void> {
  const existing = await lstat(destination).catch(() => undefined);
  if (existing === undefined) return;
  const isDirectory = (await lstat(source)).isDirectory();
  if (isDirectory !== existing.isDirectory()) {
    throw Object.assign(new Error(destination), { code: isDirectory ? 'ENOTDIR' : 'EISDIR' });
  }
  await (isDirectory ? rmdir(destination) : unlink(destination));
}

/** With owner, mode and times. Links are copied as links. */
async function copyEntry(source: string, destination: string): Promise<void> {
  const stats = await lstat(source);
  if (stats.isSymbolicLink()) {
    await symlink(await readlink(source), destination);
  } else if (stats.isDirectory()) {
    await mkdir(destination, { mode: 0o700 });
    for await (const { name } of await opendir(source)) await copyEntry(join(source, name), join(destination, name));
  } else if (stats.isFile()) {
    await copyFile(source, destination, constants.COPYFILE_EXCL);
  } else {
    throw new ConnectError('failed_precondition', `'${source}' is neither file, directory nor link: it stays here`);
  }
  await lchown(destination, stats.uid, stats.gid);
  if (!stats.isSymbolicLink()) await chmod(destination, stats.mode & 0o7777);
  await lutimes(destination, stats.atime, stats.mtime);
}
