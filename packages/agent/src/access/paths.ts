// How a path in a request is meant.
import { isAbsolute, join, normalize } from 'node:path';
import type { User } from './users.ts';

/**
 * Expands a path: empty means the default working directory or the user's home, `~` the home, and a relative path is
 * relative to the home, whatever the default working directory is.
 *
 * @throws RangeError on `~other`
 */
export function expandPath(path: string, user: User, defaultWorkdir: string | undefined): string {
  if (path === '') return defaultWorkdir ?? user.home;
  if (path === '~' || path.startsWith('~/')) return join(user.home, path.slice(1));
  if (path.startsWith('~')) throw new RangeError(`cannot expand the home of another user in '${path}'`);
  return isAbsolute(path) ? normalize(path) : join(user.home, path);
}
