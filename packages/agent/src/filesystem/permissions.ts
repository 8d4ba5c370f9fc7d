// File modes as text, in the form of Go's fs.FileMode, which the clients show.
import type { Stats } from 'node:fs';

const SETUID = 0o4000;
const SETGID = 0o2000;
const STICKY = 0o1000;
const LETTERS = 'rwxrwxrwx';

/** `drwxr-xr-x`, `-rw-r--r--`, `Lrwxrwxrwx`, `dtrwxrwxrwx`. */
export function formatPermissions(stats: Stats): string {
  const kind = [
    [stats.isDirectory(), 'd'],
    [stats.isSymbolicLink(), 'L'],
    [stats.isBlockDevice() || stats.isCharacterDevice(), 'D'],
    [stats.isFIFO(), 'p'],
    [stats.isSocket(), 'S'],
    [(stats.mode & SETUID) !== 0, 'u'],
    [(stats.mode & SETGID) !== 0, 'g'],
    [stats.isCharacterDevice(), 'c'],
    [(stats.mode & STICKY) !== 0, 't'],
  ] as const;
  const prefix = kind.map(([present, letter]) => (present ? letter : '')).join('') || '-';
  const bits = [...LETTERS].map((letter, at) => (stats.mode & (1 << (8 - at)) ? letter : '-'));
  return prefix + bits.join('');
}
