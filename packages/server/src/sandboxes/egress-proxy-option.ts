// The SOCKS5 proxy through which a sandbox's connections leave (`network.egressProxy`).
import { isIPv4 } from 'node:net';
import { SandportError } from '@sandport/protocol/errors';
import { readHostName } from '../egress/domain-pattern.ts';
import type { SocksProxy } from '../host/network/egress-policy.ts';

/** As the clients send it. */
export interface EgressProxyOption {
  /** `HOST:PORT`. */
  readonly address: string;
  readonly username?: string;
  readonly password?: string;
}

/** RFC 1929: a length of one byte. */
const MAX_CREDENTIAL = 255;

/** Throws `invalid_network_rule`. */
export function readEgressProxy({ address, username, password }: EgressProxyOption): SocksProxy {
  const match = /^([^:\s]+):([1-9]\d{0,4})$/.exec(address);
  const port = Number(match?.[2]);
  const host = match === null ? undefined : isIPv4(match[1]!) ? match[1]! : readHostName(match[1]!);
  if (host === undefined || port > 65_535) {
    throw invalid(`invalid egress proxy address "${address}": expected HOST:PORT, such as proxy.example.com:1080`);
  }
  if (password !== undefined && username === undefined)
    throw invalid('the egress proxy has a password and no username');
  for (const [name, value] of [
    ['username', username],
    ['password', password],
  ] as const) {
    if (value === undefined) continue;
    const length = Buffer.byteLength(value);
    if (length === 0 || length > MAX_CREDENTIAL)
      throw invalid(`the ${name} of the egress proxy has ${length} bytes: 1 to ${MAX_CREDENTIAL} are expected`);
  }
  return { host, port, ...(username !== undefined && { username }), ...(password !== undefined && { password }) };
}

function invalid(message: string): SandportError {
  return new SandportError('invalid_network_rule', message);
}
