// URLs that open one private port for a time.
import { ACCESS_PARAMETER, signPass } from '@sandport/protocol/access-pass';
import { AGENT_PORT } from '@sandport/protocol/agent-port';
import { SandportError } from '@sandport/protocol/errors';
import { formatHostName } from '@sandport/protocol/host-name';
import { isPrivatePort } from './private-ports.ts';
import type { SandboxRecord } from './sandbox-record.ts';
import type { SandboxTokens } from './sandbox-tokens.ts';

export const MAX_URL_SECONDS = 30 * 24 * 3600;

export interface SignedUrl {
  readonly url: string;
  /** Milliseconds since 1970. */
  readonly expiresAt: number;
}

/**
 * Signs a URL of a private port. Throws `port_is_public`.
 *
 * @param domain with the gateway's port where it is not 443
 * @param now milliseconds since 1970
 */
export function signUrl(
  record: SandboxRecord,
  port: number,
  seconds: number,
  { tokens, domain, now }: { readonly tokens: SandboxTokens; readonly domain: string; readonly now: number },
): SignedUrl {
  const { network } = record.spec;
  if (port === AGENT_PORT || !isPrivatePort(network, port)) {
    throw new SandportError('port_is_public', `port ${port} of this sandbox is public: use its plain URL`);
  }
  const end = Math.ceil(now / 1000) + seconds;
  const pass = signPass(tokens.passKeys(record.id, network.urlGeneration ?? 0), 'url', record.id, port, end);
  return {
    url: `https://${formatHostName(port, record.id, domain)}/?${ACCESS_PARAMETER}=${pass}`,
    expiresAt: end * 1000,
  };
}
