// The users of the sandbox, read from its own /etc/passwd and /etc/group: the image needs no tool for it.
import { join } from 'node:path';
import { readBoundedFile } from './bounded-file.ts';

export interface User {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
  /** Supplementary groups, without the primary one. */
  readonly groups: readonly number[];
  readonly home: string;
}

const MAX_BYTES = 1024 * 1024;
/** Linux's NGROUPS_MAX is 65536; more than this is no real account. */
const MAX_GROUPS = 1024;

/**
 * Looks a user up by name. Read anew each time, because the sandbox may add users whenever it likes.
 *
 * @param root what stands before /etc
 */
export function findUser(root: string, name: string): User | undefined {
  const passwd = readBoundedFile(join(root, 'etc/passwd'), MAX_BYTES);
  // An image without /etc/passwd still has its root.
  if (passwd === undefined) return name === 'root' ? { name, uid: 0, gid: 0, groups: [], home: '/root' } : undefined;
  for (const line of passwd.split('\n')) {
    if (!line.startsWith(`${name}:`)) continue;
    const [, , uidText, gidText, , home] = line.split(':');
    const uid = readId(uidText);
    const gid = readId(gidText);
    if (uid === undefined || gid === undefined) continue;
    return { name, uid, gid, groups: groupsOf(root, name, gid), home: home || '/' };
  }
  return undefined;
}

function groupsOf(root: string, name: string, primary: number): number[] {
  const groups = new Set<number>();
  for (const line of (readBoundedFile(join(root, 'etc/group'), MAX_BYTES) ?? '').split('\n')) {
    const [, , gidText, members] = line.split(':');
    const gid = readId(gidText);
    if (gid === undefined || gid === primary || !members?.split(',').includes(name)) continue;
    if (groups.add(gid).size === MAX_GROUPS) break;
  }
  return [...groups];
}

/** 4294967295 means "unchanged" to setuid(2) and is no ID. */
function readId(text: string | undefined): number | undefined {
  if (text === undefined || !/^[0-9]{1,10}$/.test(text)) return undefined;
  const id = Number(text);
  return id < 0xffff_ffff ? id : undefined;
}
