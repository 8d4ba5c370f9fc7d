// What an error of the file system means to the client that named a path.
import type { ConnectCode } from '@sandport/protocol/connect';
import { ConnectError } from '../connect/connect-error.ts';

const CODES: Readonly<Record<string, readonly [ConnectCode, string]>> = {
  ENOENT: ['not_found', 'does not exist'],
  EEXIST: ['already_exists', 'exists already'],
  ENOTDIR: ['invalid_argument', 'is not a directory, or a part of it is not'],
  EISDIR: ['invalid_argument', 'is a directory'],
  EINVAL: ['invalid_argument', 'cannot be used for this'],
  ELOOP: ['invalid_argument', 'leads through too many links'],
  ENAMETOOLONG: ['invalid_argument', 'is too long'],
  EACCES: ['permission_denied', 'may not be used'],
  EPERM: ['permission_denied', 'may not be changed'],
  EROFS: ['permission_denied', 'is on a read-only file system'],
  ENOTEMPTY: ['failed_precondition', 'is a directory that is not empty'],
  EBUSY: ['failed_precondition', 'is in use'],
  EXDEV: ['failed_precondition', 'is on another file system'],
  ENOSPC: ['resource_exhausted', 'is on a full disk'],
  EDQUOT: ['resource_exhausted', 'is on a full disk'],
  ENOSYS: ['unimplemented', 'is on a file system that cannot do this'],
};

export function filesystemError(error: unknown, path: string): ConnectError {
  if (error instanceof ConnectError) return error;
  const code = (error as NodeJS.ErrnoException | null)?.code ?? '';
  const known = CODES[code];
  if (known === undefined) return ConnectError.from(error);
  return new ConnectError(known[0], `path '${path}' ${known[1]}`, { cause: error });
}
