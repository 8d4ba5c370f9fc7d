// Which process holds a socket: the one that has it among its descriptors.
import { readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs';
import { libc } from '../native/system.ts';
import type { ListeningSocket } from './socket-table.ts';

export interface SocketOwner {
  readonly pid: number;
  /** Its name, at most 15 characters (proc_pid_comm(5)). */
  readonly program: string;
}

/** Links that one search looks at: a sandbox full of processes is not worth a long pause of the agent. */
const MAX_LINKS = 20_000;

/** Owners by inode; of a socket that several processes share, the one with the lowest process ID. */
export function findSocketOwners(sockets: readonly ListeningSocket[]): Map<number, SocketOwner> {
  const owners = new Map<number, SocketOwner>();
  const wanted = new Set(sockets.map(({ inode }) => inode));
  const users = new Set(sockets.map(({ uid }) => uid));
  let links = 0;
  for (const pid of processes()) {
    if (owners.size === wanted.size || links > MAX_LINKS) break;
    const held = descriptorsOf(pid, users);
    links += held.length;
    for (const link of held) {
      const inode = Number(/^socket:\[([0-9]+)\]$/.exec(link)?.[1]);
      if (wanted.has(inode) && !owners.has(inode)) owners.set(inode, { pid, program: nameOf(pid) });
    }
  }
  return owners;
}

function processes(): number[] {
  const names = readdirSync('/proc').filter((name) => /^[0-9]+$/.test(name));
  return names.map(Number).sort((left, right) => left - right);
}

/** Where the descriptors of a process lead; of none of these users' processes anything. */
function descriptorsOf(pid: number, users: ReadonlySet<number>): string[] {
  try {
    const { uid, gid } = statSync(`/proc/${pid}`);
    if (!users.has(uid)) return [];
    const read = (): string[] =>
      readdirSync(`/proc/${pid}/fd`).map((descriptor) => readlinkSync(`/proc/${pid}/fd/${descriptor}`));
    const calls = libc();
    // Root in a user namespace may not look into what another user runs; that user may.
    return uid === 0 || calls === undefined ? read() : calls.actAs({ uid, gid, groups: [] }, read);
  } catch {
    // It has ended meanwhile, or is nobody's to look at.
    return [];
  }
}

function nameOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/comm`, 'utf8').trimEnd();
  } catch {
    return '';
  }
}
