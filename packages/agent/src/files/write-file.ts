// Writes a file into the sandbox as root, and gives it and the directories made for it to the user. A write that fails
// leaves no half of a file under the name: a new file goes again, and one that was there keeps its content, which is
// replaced only when all of the new one has come.
import { constants } from 'node:fs';
import { chown, type FileHandle, lstat, mkdir, open, realpath, rm, stat, statfs } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { User } from '../access/users.ts';
import { FileError } from './file-error.ts';
import { Spool } from './spool.ts';

const NEW = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL;
/** Without waiting, so that a FIFO does not hold a thread until somebody reads from it. */
const EXISTING = constants.O_WRONLY | constants.O_NONBLOCK;
/** Bytes of a block as stat(2) counts them. */
const STAT_BLOCK = 512;
/** More than what stands around the content in a body. */
const FRAMING = 64 * 1024;

export interface WriteOptions {
  /** Bytes that the content has at most, when that is known. */
  readonly atMost?: number | undefined;
}

/** Replaces the content of `path` with what `content` yields. @throws FileError */
export async function writeContent(
  path: string,
  content: AsyncIterable<Buffer>,
  user: User,
  { atMost }: WriteOptions = {},
): Promise<void> {
  try {
    await makeDirectories(dirname(path), user);
    await using created = await openNew(path);
    if (created !== undefined) await fillNew(path, created, content, user);
    else await replace(path, content, user, atMost);
  } catch (error) {
    throw FileError.from(error, path);
  }
}

/** Undefined when there is something of that name. */
async function openNew(path: string): Promise<FileHandle | undefined> {
  try {
    return await open(path, NEW, 0o666);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return undefined;
    throw error;
  }
}

async function fillNew(path: string, handle: FileHandle, content: AsyncIterable<Buffer>, user: User): Promise<void> {
  const { ino } = await handle.stat();
  try {
    await handle.chown(user.uid, user.gid);
    await writeAll(handle, content);
  } catch (error) {
    await removeIfSame(path, ino);
    throw error;
  }
}

async function replace(
  path: string,
  content: AsyncIterable<Buffer>,
  user: User,
  atMost: number | undefined,
): Promise<void> {
  await using handle = await openExisting(path);
  const before = await handle.stat();
  if (!before.isFile()) throw new FileError(400, `path '${path}' is not a regular file`);
  const { bavail, bsize } = await statfs(path);
  const free = bavail * bsize;
  const room = free + before.blocks * STAT_BLOCK;
  if (atMost !== undefined && atMost > room + FRAMING) throw noRoom();
  try {
    if (atMost !== undefined && atMost > free) {
      // There is no room for both: the old content has to go first.
      await handle.truncate();
      await writeAll(handle, content);
    } else {
      await using spool = await Spool.collect(content);
      if (spool.bytes > room) throw noRoom();
      await handle.truncate();
      await writeAll(handle, spool.read());
    }
    await handle.chown(user.uid, user.gid);
  } catch (error) {
    const changed = (await handle.stat()).mtimeMs !== before.mtimeMs;
    if (changed) await removeIfSame(path, before.ino);
    throw error;
  }
}

/** What bears the name now may be something else. */
async function removeIfSame(path: string, inode: number): Promise<void> {
  const target = await realpath(path).catch(() => undefined);
  if (target !== undefined && (await stat(target)).ino === inode) await rm(target, { force: true });
}

function noRoom(): Error {
  return Object.assign(new Error('there is no room for the new content'), { code: 'ENOSPC' });
}

async function openExisting(path: string): Promise<FileHandle> {
  try {
    return await open(path, EXISTING);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    // A link that leads nowhere: what it names is made.
    return open(path, EXISTING | constants.O_CREAT, 0o666);
  }
}

async function writeAll(handle: FileHandle, content: AsyncIterable<Buffer>): Promise<void> {
  for await (const chunk of content) {
    for (let at = 0; at < chunk.length; ) at += (await handle.write(chunk, at)).bytesWritten;
  }
}

/** Makes the directories of `path` that are missing, 0755 and the user's. */
export async function makeDirectories(path: string, user: User): Promise<void> {
  const first = await mkdir(path, { recursive: true, mode: 0o755 });
  if (first === undefined) return;
  // From the innermost up to the first that was made. A link put in between is not followed.
  for (let made = path; made.length >= first.length; made = dirname(made)) {
    if ((await lstat(made)).isDirectory()) await chown(made, user.uid, user.gid);
  }
}
