// The proxies in front whose word about their clients counts.

import { BlockList, isIPv6 } from 'node:net';

export class TrustedProxies {
  readonly isEmpty: boolean;
  readonly #ranges = new BlockList();

  /** @param ranges addresses and CIDR ranges */
  constructor(ranges: readonly string[]) {
    this.isEmpty = ranges.length === 0;
    for (const range of ranges) {
      const [address = '', prefix] = range.split('/');
      const family = isIPv6(address) ? 'ipv6' : 'ipv4';
      if (prefix === undefined) this.#ranges.addAddress(address, family);
      else this.#ranges.addSubnet(address, Number(prefix), family);
    }
  }

  has(address: string): boolean {
    return !this.isEmpty && this.#ranges.check(address, isIPv6(address) ? 'ipv6' : 'ipv4');
  }
}
