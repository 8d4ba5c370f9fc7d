// The TCP sockets of the sandbox, from /proc/net/tcp and tcp6 (proc_net_tcp(5)).
import { readFileSync } from 'node:fs';

export interface ListeningSocket {
  readonly address: string;
  readonly port: number;
  /** Who opened it. */
  readonly uid: number;
  readonly inode: number;
}

const LISTEN = '0A';
/** SYN_SENT and SYN_RECV. */
const CONNECTING: ReadonlySet<string | undefined> = new Set(['02', '03']);
export const SOCKET_TABLES = ['/proc/net/tcp', '/proc/net/tcp6'];
const MAPPED_IPV4 = '0000000000000000FFFF0000';

/** @param table the content of one of the two files; a line that is not understood is left out */
export function readSocketTable(table: string): ListeningSocket[] {
  const sockets: ListeningSocket[] = [];
  for (const line of table.split('\n').slice(1)) {
    const [, local, , state, , , , uid, , inode] = line.trim().split(/\s+/);
    if (state !== LISTEN || local === undefined) continue;
    const colon = local.indexOf(':');
    const address = readAddress(local.slice(0, colon));
    const port = Number.parseInt(local.slice(colon + 1), 16);
    if (address === undefined || !(port > 0)) continue;
    sockets.push({ address, port, uid: Number(uid), inode: Number(inode) });
  }
  return sockets;
}

/**
 * Of sockets whose connection to another machine is being made, what tells each from others.
 *
 * @param table as of `readSocketTable`
 */
export function readConnecting(table: string): string[] {
  return table
    .split('\n')
    .slice(1)
    .flatMap((line) => {
      const [, local = '', , state, , , , , , inode] = line.trim().split(/\s+/);
      if (!CONNECTING.has(state)) return [];
      const address = readAddress(local.split(':', 1)[0]!);
      return address === undefined || isLoopback(address) ? [] : [`${local} ${inode}`];
    });
}

/** Words of 32 bits in hexadecimal, each as this machine keeps it in memory: the lowest byte first. */
function readAddress(hex: string): string | undefined {
  if (/^[0-9A-F]{8}$/.test(hex)) return bytesOf(hex).join('.');
  if (!/^[0-9A-F]{32}$/.test(hex)) return undefined;
  if (hex.startsWith(MAPPED_IPV4)) return bytesOf(hex.slice(MAPPED_IPV4.length)).join('.');
  const bytes = [0, 8, 16, 24].flatMap((start) => bytesOf(hex.slice(start, start + 8)));
  const groups = [0, 2, 4, 6, 8, 10, 12, 14].map((at) => ((bytes[at]! << 8) | bytes[at + 1]!).toString(16));
  // The canonical form (RFC 5952) is the URL parser's.
  return new URL(`http://[${groups.join(':')}]`).hostname.slice(1, -1);
}

function bytesOf(word: string): number[] {
  return [6, 4, 2, 0].map((at) => Number.parseInt(word.slice(at, at + 2), 16));
}

export function isLoopback(address: string): boolean {
  return address === '::1' || address.startsWith('127.');
}

/** A kernel without IPv6 has no table of it. */
export function readIfThere(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
