// Which user of the sandbox an RPC acts for: the user name of HTTP Basic, whose password is ignored.
import { ConnectError } from '../connect/connect-error.ts';
import { findUser, type User } from './users.ts';

/** @throws ConnectError `unauthenticated` when the sandbox has no such user */
export function requestedUser(authorization: string | undefined, defaultUser: string, root: string): User {
  const name = basicUserName(authorization) ?? defaultUser;
  // A colon or a line break would let the name match across the fields of /etc/passwd.
  const user = /^[^:\n\0]{1,256}$/.test(name) ? findUser(root, name) : undefined;
  if (user === undefined) throw new ConnectError('unauthenticated', `invalid username: '${name.slice(0, 256)}'`);
  return user;
}

/** The user name; undefined when the header is absent, of another scheme or names nobody. */
function basicUserName(authorization: string | undefined): string | undefined {
  const match = /^basic +([A-Za-z0-9+/=_-]+)$/i.exec(authorization ?? '');
  if (match === null) return undefined;
  const credentials = Buffer.from(match[1]!, 'base64').toString('utf8');
  const colon = credentials.indexOf(':');
  return (colon === -1 ? credentials : credentials.slice(0, colon)) || undefined;
}
