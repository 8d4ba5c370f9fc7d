// What a worker knows about who may use the private ports of one sandbox.

import type { PassKeys } from '@sandport/protocol/access-pass';
import { AGENT_PORT } from '@sandport/protocol/agent-port';
import type { PrivatePorts, RouteAccess } from '@sandport/protocol/routes';

export class PrivateAccess {
  /** SHA-256 that a traffic access token must have. */
  readonly tokenDigest: Buffer;
  readonly keys: PassKeys;
  readonly #ports: PrivatePorts | undefined;

  constructor(access: RouteAccess & { readonly kind: 'token' }) {
    this.tokenDigest = Buffer.from(access.tokenSha256, 'hex');
    this.keys = { session: Buffer.from(access.sessionKey, 'base64'), url: Buffer.from(access.urlKey, 'base64') };
    this.#ports = access.ports;
  }

  /** The agent checks its own token. */
  isPrivate(port: number): boolean {
    if (port === AGENT_PORT) return false;
    const ports = this.#ports;
    if (ports === undefined) return true;
    return 'only' in ports ? ports.only.includes(port) : !ports.except.includes(port);
  }
}
