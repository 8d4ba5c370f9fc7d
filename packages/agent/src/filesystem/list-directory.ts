// Lists a directory, several levels deep, in the order of a sorted walk: each directory before what is in it.
import { readdir, realpath } from 'node:fs/promises';
import { join } from 'node:path';
import type { EntryInfo } from '@sandport/protocol/filesystem-rpc';
import type { AccountNames } from '../access/account-names.ts';
import { ConnectError } from '../connect/connect-error.ts';
import { describeEntry } from './entry.ts';

/** Entries of one answer, which is one message. */
const MAX_ENTRIES = 50_000;
/** Entries that are looked at together. */
const BATCH = 32;

/**
 * A link given as the root is followed; links below it are listed and not entered.
 *
 * @param depth at least 1
 * @throws ConnectError `resource_exhausted` past `MAX_ENTRIES`; rejects with the system's error about the root
 */
export async function listDirectory(root: string, depth: number, names: AccountNames): Promise<EntryInfo[]> {
  const found: EntryInfo[] = [];
  await visit(await realpath(root), root, depth);
  return found;

  async function visit(directory: string, shown: string, levels: number): Promise<void> {
    const children = (await readdir(directory)).sort(compareBytes);
    if (found.length + children.length > MAX_ENTRIES) {
      throw new ConnectError('resource_exhausted', `'${root}' holds more than ${MAX_ENTRIES} entries; list less deep`);
    }
    for (let at = 0; at < children.length; at += BATCH) {
      const batch = children.slice(at, at + BATCH);
      const entries = await Promise.all(
        batch.map((name) => describeEntry(join(directory, name), names, join(shown, name)).catch(gone)),
      );
      for (const entry of entries) {
        if (entry === undefined) continue;
        found.push(entry);
        const isDirectory = entry.type === 'FILE_TYPE_DIRECTORY' && entry.symlinkTarget === undefined;
        if (isDirectory && levels > 1) {
          await visit(join(directory, entry.name), entry.path, levels - 1).catch(gone);
        }
      }
    }
  }
}

/** What vanishes while the walk goes on is left out. */
function gone(error: NodeJS.ErrnoException): undefined {
  if (error.code !== 'ENOENT' && error.code !== 'ENOTDIR') throw error;
  return undefined;
}

function compareBytes(left: string, right: string): number {
  return left < right ? -1 : left > right ? 1 : 0;
}
