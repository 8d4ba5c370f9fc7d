// For tests: the access of a sandbox whose traffic access token is `token`.

import { createHash } from 'node:crypto';
import type { PrivatePorts, RouteAccess } from '@sandport/protocol/routes';

export const SESSION_KEY = Buffer.alloc(32, 1);
export const URL_KEY = Buffer.alloc(32, 2);

export function privateTo(token: string, ports?: PrivatePorts, urlKey = URL_KEY): RouteAccess & { kind: 'token' } {
  return {
    kind: 'token',
    tokenSha256: createHash('sha256').update(token).digest('hex'),
    sessionKey: SESSION_KEY.toString('base64'),
    urlKey: urlKey.toString('base64'),
    ...(ports !== undefined && { ports }),
  };
}
