// The nftables table of one instance: translation between slot addresses and the one inner address, what sandboxes
// may reach, and nothing of the machine itself. Rules stay in force when Sandport is not running.
import { runCommand } from '../run-command.ts';
import { INSIDE_ADDRESS, NEIGHBOUR_ADDRESS, type SlotNames } from './slot.ts';

/** Destinations that no sandbox reaches and no rule of a user opens: private, local, shared, benchmarking, multicast. */
export const ALWAYS_DENIED = [
  '0.0.0.0/8',
  '10.0.0.0/8',
  '100.64.0.0/10',
  '127.0.0.0/8',
  '169.254.0.0/16',
  '172.16.0.0/12',
  '192.168.0.0/16',
  '198.18.0.0/15',
  '224.0.0.0/3',
] as const;

/** What one sandbox may reach, as addresses in CIDR form. Allow is looked at first; without a match traffic passes. */
export interface EgressPolicy {
  readonly allow: readonly string[];
  readonly deny: readonly string[];
}

export class Firewall {
  readonly #table: string;
  readonly #names: SlotNames;
  readonly #blockCidr: string;
  /** Slots that have elements in the sets, and which: an element is deleted by naming it. */
  readonly #applied = new Map<string, EgressPolicy>();

  constructor(options: { instance: string; names: SlotNames; blockCidr: string }) {
    this.#table = `sandport_${options.instance}`;
    this.#names = options.names;
    this.#blockCidr = options.blockCidr;
  }

  /**
   * Puts the table in force, in one transaction; the translation of slots that exist stays.
   *
   * @param dnsPort port of this machine on which Sandport's resolver listens
   */
  async install(slots: readonly { index: number; address: string }[], dnsPort: number): Promise<void> {
    const from = `iifname "${this.#names.interfacePrefix}*"`;
    const to = `oifname "${this.#names.interfacePrefix}*"`;
    const script = `
table inet ${this.#table}
delete table inet ${this.#table}
table inet ${this.#table} {
  map slot_address { type ifname : ipv4_addr; }
  set allow { type ipv4_addr . ipv4_addr; flags interval; }
  set deny { type ipv4_addr . ipv4_addr; flags interval; }
  chain refuse {
    meta l4proto tcp reject with tcp reset
    drop
  }
  chain translate_in {
    type filter hook prerouting priority raw; policy accept;
    ${from} meta nfproto ipv6 drop
    ${from} ip saddr != ${INSIDE_ADDRESS} drop
    ${from} ip saddr set iifname map @slot_address
  }
  chain translate_out {
    type filter hook postrouting priority 500; policy accept;
    ${to} ip daddr ${this.#blockCidr} ip daddr set ${INSIDE_ADDRESS}
  }
  chain resolver {
    type nat hook prerouting priority dstnat; policy accept;
    ${from} ip daddr ${NEIGHBOUR_ADDRESS} udp dport 53 redirect to :${dnsPort}
  }
  chain to_machine {
    type filter hook input priority filter; policy accept;
    ${from} ct state established,related accept
    ${from} ct status dnat udp dport ${dnsPort} accept
    ${from} goto refuse
    ip daddr != 127.0.0.0/8 udp dport ${dnsPort} drop
  }
  chain through_machine {
    type filter hook forward priority filter; policy accept;
    ${to} ct state established,related accept
    ${from} jump egress
    ${to} drop
  }
  chain egress {
    ct state established,related accept
    ip daddr { ${ALWAYS_DENIED.join(', ')} } goto refuse
    ip saddr . ip daddr @allow accept
    ip saddr . ip daddr @deny goto refuse
    accept
  }
  chain to_internet {
    type nat hook postrouting priority srcnat; policy accept;
    ip saddr ${this.#blockCidr} ${to.replace('oifname', 'oifname !=')} masquerade
  }
}
`;
    await this.#nft(script);
    this.#applied.clear();
    await this.addSlots(slots);
  }

  async addSlots(slots: readonly { index: number; address: string }[]): Promise<void> {
    if (slots.length === 0) return;
    const elements = slots.map(({ index, address }) => `"${this.#names.interfacePrefix}${index}" : ${address}`);
    await this.#nft(`add element inet ${this.#table} slot_address { ${elements.join(', ')} }\n`);
  }

  async removeSlot(slot: { index: number; address: string }): Promise<void> {
    await this.setEgress(slot.address, { allow: [], deny: [] });
    const element = `"${this.#names.interfacePrefix}${slot.index}" : ${slot.address}`;
    await this.#nft(`delete element inet ${this.#table} slot_address { ${element} }\n`).catch(() => {
      // The element is not there when a start ended before it was added.
    });
  }

  /** Replaces what a slot may reach, in one transaction. Addresses are validated before: they are CIDR text here. */
  async setEgress(address: string, policy: EgressPolicy): Promise<void> {
    const before = this.#applied.get(address) ?? { allow: [], deny: [] };
    const lines = [
      ...this.#elements('delete', 'allow', address, before.allow),
      ...this.#elements('delete', 'deny', address, before.deny),
      ...this.#elements('add', 'allow', address, policy.allow),
      ...this.#elements('add', 'deny', address, policy.deny),
    ];
    if (lines.length === 0) return;
    await this.#nft(`${lines.join('\n')}\n`);
    if (policy.allow.length + policy.deny.length === 0) this.#applied.delete(address);
    else this.#applied.set(address, policy);
  }

  async remove(): Promise<void> {
    await this.#nft(`table inet ${this.#table}\ndelete table inet ${this.#table}\n`);
  }

  #elements(verb: string, set: string, address: string, ranges: readonly string[]): string[] {
    if (ranges.length === 0) return [];
    return [
      `${verb} element inet ${this.#table} ${set} { ${ranges.map((range) => `${address} . ${range}`).join(', ')} }`,
    ];
  }

  async #nft(script: string): Promise<void> {
    await runCommand('nft', ['-f', '-'], { input: script });
  }
}
