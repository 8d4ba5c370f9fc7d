// Node adds to its compile cache and never removes: each version of Sandport or Node would leave what it compiled.
import { readdirSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { sandportHome } from './host/image/installation.ts';

/** What is in use, too, is compiled anew once in this time: reading an entry leaves no trace by which to spare it. */
const KEPT_MS = 30 * 24 * 60 * 60 * 1000;

/** Shared by all processes that are Sandport's own. Only root writes where code for root is kept. */
export function compileCache(): string {
  return join(sandportHome(), 'compiled');
}

/** Workers that run are not concerned: they have read what they need, and one that starts writes what is missing. */
export function removeOldEntries(directory: string, now = Date.now()): void {
  const entries = readdirIfThere(directory);
  for (const { parentPath, name } of entries.filter((entry) => entry.isFile())) {
    const path = join(parentPath, name);
    // Another instance may be doing the same, or renaming what it has just written.
    const written = statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? now;
    if (now - written > KEPT_MS) rmSync(path, { force: true });
  }
}

function readdirIfThere(directory: string) {
  try {
    return readdirSync(directory, { recursive: true, withFileTypes: true });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}
