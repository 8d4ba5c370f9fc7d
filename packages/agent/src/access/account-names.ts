// The names that user and group IDs have in the sandbox.
import { join } from 'node:path';
import { readBoundedFile } from './bounded-file.ts';

const MAX_BYTES = 1024 * 1024;

export interface AccountNames {
  /** The number itself when nobody has it. */
  user(uid: number): string;
  group(gid: number): string;
}

/** Reads both files once; to be used for one request. */
export function readAccountNames(root: string): AccountNames {
  const users = namesById(join(root, 'etc/passwd'));
  const groups = namesById(join(root, 'etc/group'));
  return {
    user: (uid) => users.get(String(uid)) ?? String(uid),
    group: (gid) => groups.get(String(gid)) ?? String(gid),
  };
}

/** The first of several names of one ID is the one that counts (getpwuid(3)). */
function namesById(path: string): Map<string, string> {
  const names = new Map<string, string>();
  for (const line of (readBoundedFile(path, MAX_BYTES) ?? '').split('\n')) {
    const [name, , id] = line.split(':');
    if (name && id && !names.has(id)) names.set(id, name);
  }
  return names;
}
