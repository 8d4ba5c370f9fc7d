// What a request to /files names, and whether it may: by token, or by a signature in the URL that only the holder of
// the token can have made.
import type { IncomingMessage } from 'node:http';
import { expandPath } from '../access/paths.ts';
import { Secret } from '../access/secret.ts';
import { findUser, type User } from '../access/users.ts';
import type { Settings } from '../init/settings.ts';
import { FileError } from './file-error.ts';

export interface FileRequest {
  readonly user: User;
  /** As in the query; empty when absent. */
  readonly path: string;
  /** Makes the absolute path of one in the request. */
  resolve(path: string): string;
}

/** @throws FileError 401 when the request may not, or names no user; 400 on a path that cannot be meant */
export function readFileRequest(
  request: IncomingMessage,
  settings: Settings,
  root: string,
  operation: 'read' | 'write',
): FileRequest {
  const url = request.url ?? '';
  const query = new URLSearchParams(url.includes('?') ? url.slice(url.indexOf('?')) : '');
  checkAccess(request, query, settings, operation);
  const name = query.get('username') || settings.defaultUser;
  const user = /^[^:\n\0]{1,256}$/.test(name) ? findUser(root, name) : undefined;
  if (user === undefined) throw new FileError(401, `error looking up user '${name.slice(0, 256)}'`);
  return {
    user,
    path: query.get('path') ?? '',
    resolve(path) {
      if (path.includes('\0')) throw new FileError(400, 'the path contains a NUL character');
      try {
        return expandPath(path, user, settings.defaultWorkdir);
      } catch (error) {
        throw new FileError(400, error instanceof Error ? error.message : String(error));
      }
    },
  };
}

function checkAccess(
  request: IncomingMessage,
  query: URLSearchParams,
  { accessToken }: Settings,
  operation: 'read' | 'write',
): void {
  if (accessToken === undefined) return;
  const token = request.headers['x-access-token'];
  if (token !== undefined) {
    if (accessToken.equals(token)) return;
    throw new FileError(401, 'access token present in header but does not match');
  }
  const signature = query.get('signature');
  if (!signature) throw new FileError(401, 'missing signature query parameter');
  const expiration = query.get('signature_expiration');
  const signed = [query.get('path') ?? '', operation, query.get('username') ?? ''];
  const expected = accessToken.sign((secret) => [...signed, secret, ...(expiration ? [expiration] : [])].join(':'));
  if (!new Secret(`v1_${expected}`).equals(signature)) throw new FileError(401, 'invalid signature');
  if (!expiration) return;
  if (!/^[0-9]{1,15}$/.test(expiration) || Number(expiration) < Date.now() / 1000) {
    throw new FileError(401, 'signature is already expired');
  }
}
