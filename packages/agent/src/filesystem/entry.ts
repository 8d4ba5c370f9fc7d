// Describes one file, directory or link.
import type { Stats } from 'node:fs';
import { lstat, realpath, stat } from 'node:fs/promises';
import { basename } from 'node:path';
import type { EntryInfo, FileType } from '@sandport/protocol/filesystem-rpc';
import type { AccountNames } from '../access/account-names.ts';
import { metadataOf } from '../files/metadata.ts';
import { formatPermissions } from './permissions.ts';

/**
 * Rejects with the system's error when there is nothing at `path`.
 *
 * @param shown the path in the answer, where it is not the one that is looked at
 */
export async function describeEntry(path: string, names: AccountNames, shown = path): Promise<EntryInfo> {
  const stats = await lstat(path);
  const target = stats.isSymbolicLink() ? await followLink(path) : undefined;
  const type =
    stats.isSymbolicLink() && target?.stats === undefined ? 'FILE_TYPE_SYMLINK' : typeOf(target?.stats ?? stats);
  const mode = (stats.isSymbolicLink() ? (target?.stats?.mode ?? 0) : stats.mode) & 0o777;
  const metadata = stats.isFile() ? metadataOf(path) : undefined;
  return {
    name: basename(shown) || '/',
    ...(type !== undefined && { type }),
    path: shown,
    ...(stats.size > 0 && { size: String(stats.size) }),
    ...(mode !== 0 && { mode }),
    permissions: formatPermissions(stats),
    owner: names.user(stats.uid),
    group: names.group(stats.gid),
    modifiedTime: stats.mtime.toISOString(),
    ...(target !== undefined && { symlinkTarget: target.path }),
    ...(metadata !== undefined && { metadata }),
  };
}

/** Where a link leads; the link itself when it leads nowhere. */
async function followLink(path: string): Promise<{ readonly path: string; readonly stats: Stats | undefined }> {
  try {
    const target = await realpath(path);
    return { path: target, stats: await stat(target) };
  } catch {
    return { path, stats: undefined };
  }
}

function typeOf(stats: Stats): FileType | undefined {
  if (stats.isFile()) return 'FILE_TYPE_FILE';
  return stats.isDirectory() ? 'FILE_TYPE_DIRECTORY' : undefined;
}
