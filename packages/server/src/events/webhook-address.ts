// Where webhooks may lead: not to the machine itself nor into its private networks, unless the operator says so. Whoever
// has an API key could otherwise have the server speak to what only it reaches.
import { lookup } from 'node:dns/promises';
import { BlockList, isIP, isIPv4, isIPv6 } from 'node:net';
import { SandportError } from '@sandport/protocol/errors';
import { ReachableRanges } from '../egress/sandbox-egress.ts';

const MAX_URL = 2048;

/** All addresses of a host name. */
export type LookUp = (hostname: string) => Promise<readonly string[]>;

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
  readonly #lookUp: LookUp;
  readonly #lookUps = new Map<string, Promise<readonly string[]>>();

  /** @param permitted IPv4 ranges of the machine's own networks that webhooks may lead to all the same */
  constructor(permitted: readonly string[], lookUp: LookUp = lookUpByMachine) {
    this.#ranges = new ReachableRanges(permitted);
    this.#lookUp = lookUp;
  }

  allows(address: string): boolean {
    if (isIPv4(address)) return this.#ranges.has(address);
    return isIPv6(address) && global6.check(address, 'ipv6') && !special6.check(address, 'ipv6');
  }

  /**
   * An address of a host name, or of an address in a URL, that webhooks may lead to; undefined when there is none. Throws
   * the signal's reason, and what a look-up does that fails.
   */
  async find(hostname: string, signal: AbortSignal): Promise<string | undefined> {
    signal.throwIfAborted();
    const literal = addressIn(hostname);
    if (literal !== undefined) return this.allows(literal) ? literal : undefined;
    const found = await unlessAborted(this.#addressesOf(hostname), signal);
    return found.find((address) => this.allows(address));
  }

  /** A look-up cannot be ended: who asks again waits for the one that goes on, so that they do not fill libuv's threads. */
  #addressesOf(hostname: string): Promise<readonly string[]> {
    const goingOn = this.#lookUps.get(hostname);
    if (goingOn !== undefined) return goingOn;
    const begun = this.#lookUp(hostname).finally(() => this.#lookUps.delete(hostname));
    this.#lookUps.set(hostname, begun);
    return begun;
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

async function lookUpByMachine(hostname: string): Promise<readonly string[]> {
  return (await lookup(hostname, { all: true })).map(({ address }) => address);
}

/** Throws the signal's reason when it comes first; what becomes of the rest nobody hears then. */
function unlessAborted<T>(task: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const abort = (): void => reject(signal.reason);
    signal.addEventListener('abort', abort, { once: true });
    task.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort));
  });
}

/** Of a host in a URL that is no name. */
function addressIn(hostname: string): string | undefined {
  const address = hostname.replace(/^\[(.*)\]$/, '$1');
  return isIP(address) === 0 ? undefined : address;
}

function invalid(expected: string): SandportError {
  return new SandportError('validation_failed', `validation error: body/url must be ${expected}`);
}
