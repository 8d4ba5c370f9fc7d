// Where webhooks may lead: not to the machine itself nor into its private networks, unless the operator says so. Whoever
// has an API key could otherwise have the server speak to what only it reaches.
import { lookup } from 'node:dns/promises';
import { BlockList, isIP, isIPv4, isIPv6 } from 'node:net';
import { SandportError } from '@sandport/protocol/errors';
import { ReachableRanges } from '../egress/sandbox-egress.ts';

const MAX_URL = 2048;

/** Global unicast, without what is for documentation, translates to IPv4 or tunnels. */
const global6 = new BlockList();
global6.addSubnet('2000::', 3, 'ipv6');
const special6 = new BlockList();
special6.addSubnet('2001::', 23, 'ipv6');
special6.addSubnet('2001:db8::', 32, 'ipv6');
special6.addSubnet('2002::', 16, 'ipv6');
special6.addSubnet('3fff::', 20, 'ipv6');

export class WebhookAddresses {
  readonly #ranges: ReachableRanges;

  /** @param permitted IPv4 ranges of the machine's own networks that webhooks may lead to all the same */
  constructor(permitted: readonly string[]) {
    this.#ranges = new ReachableRanges(permitted);
  }

  allows(address: string): boolean {
    if (isIPv4(address)) return this.#ranges.has(address);
    return isIPv6(address) && global6.check(address, 'ipv6') && !special6.check(address, 'ipv6');
  }

  /** An address of a host name, or of an address in a URL, that webhooks may lead to; undefined when there is none. */
  async find(hostname: string): Promise<string | undefined> {
    const literal = addressIn(hostname);
    if (literal !== undefined) return this.allows(literal) ? literal : undefined;
    const found = await lookup(hostname, { all: true });
    return found.map(({ address }) => address).find((address) => this.allows(address));
  }

  /** Throws `validation_failed`. */
  validate(text: string): string {
    const url = URL.canParse(text) ? new URL(text) : undefined;
    if (url === undefined || !['http:', 'https:'].includes(url.protocol) || text.length > MAX_URL) {
      throw invalid(`an http or https URL of at most ${MAX_URL} characters`);
    }
    if (url.username !== '' || url.password !== '') throw invalid('a URL without user and password');
    const literal = addressIn(url.hostname);
    if (literal !== undefined && !this.allows(literal)) {
      throw invalid('on the internet; "sandport up --webhook-permit" opens other ranges');
    }
    return url.href;
  }
}

/** Of a host in a URL that is no name. */
function addressIn(hostname: string): string | undefined {
  const address = hostname.replace(/^\[(.*)\]$/, '$1');
  return isIP(address) === 0 ? undefined : address;
}

function invalid(expected: string): SandportError {
  return new SandportError('validation_failed', `validation error: body/url must be ${expected}`);
}
