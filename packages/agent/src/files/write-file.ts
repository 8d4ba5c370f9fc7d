// Writes a file into the sandbox as root, and gives it and the directories made for it to the user.
import { constants } from 'node:fs';
import { chown, lstat, mkdir, open } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { User } from '../access/users.ts';
import { FileError } from './file-error.ts';

/** Replaces the content of `path` with what `content` yields. @throws FileError */
export async function writeContent(path: string, content: AsyncIterable<Buffer>, user: User): Promise<void> {
  try {
    await makeDirectories(dirname(path), user);
    const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_TRUNC | constants.O_NONBLOCK;
    await using handle = await open(path, flags, 0o666);
    if (!(await handle.stat()).isFile()) throw new FileError(400, `path '${path}' is not a regular file`);
    await handle.chown(user.uid, user.gid);
    for await (const chunk of content) {
      for (let at = 0; at < chunk.length; ) at += (await handle.write(chunk, at)).bytesWritten;
    }
  } catch (error) {
    throw FileError.from(error, path);
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
