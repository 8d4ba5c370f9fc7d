// What sandboxes may reach, enforced in two places: the packet filter, by address, and the egress process, by name.
import { isIPv4 } from 'node:net';
import { join } from 'node:path';
import { NameLookup } from '../../dns/name-lookup.ts';
import { addTraffic, NO_TRAFFIC } from '../../egress/add-traffic.ts';
import type { Denial, EgressSettings, EgressTraffic } from '../../egress/messages.ts';
import { ReachableRanges } from '../../egress/sandbox-egress.ts';
import { type EgressPolicy, OPEN } from './egress-policy.ts';
import { EgressProcess } from './egress-process.ts';
import { Firewall, type FirewallSlot } from './firewall.ts';
import type { TableNames } from './table-script.ts';

export interface EgressOptions extends TableNames {
  readonly dataDirectory: string;
  readonly blockCidr: string;
  /** Ranges of `NEVER_REACHED` that the operator opens to sandboxes. */
  readonly permitted: readonly string[];
  readonly nameservers: readonly string[];
  /** Directory for what Node compiles of the egress process. */
  readonly compileCache?: string | undefined;
  readonly onError: (event: string, error: unknown) => void;
}

/** One for each address block, in a range of user IDs that distributions leave unused. */
const FIRST_UID = 60_578;
/** Through the proxy, where the operator sets no limit: bounds what one sandbox takes of the process. */
const MAX_CONNECTIONS = 10_000;
/** How long a table that somebody took away may be gone. */
const LOOK_MS = 5000;
/** Reported of one sandbox. */
const MAX_DENIALS = 100;

export interface EgressReport {
  readonly traffic: EgressTraffic;
  /** The latest first. */
  readonly denials: readonly Denial[];
}

export class Egress {
  readonly #firewall: Firewall;
  readonly #process: EgressProcess;
  readonly #lookup: NameLookup;
  readonly #ranges: ReachableRanges;
  readonly #onError: EgressOptions['onError'];
  #look: NodeJS.Timeout | undefined;

  constructor(options: EgressOptions) {
    const { permitted, nameservers } = options;
    this.#onError = options.onError;
    this.#lookup = new NameLookup(nameservers);
    this.#ranges = new ReachableRanges(permitted);
    const uid = egressUid(options.blockCidr);
    const settings: EgressSettings = {
      permitted,
      nameservers,
      uid,
      maxConnections: options.maxConnections ?? MAX_CONNECTIONS,
    };
    this.#firewall = new Firewall({ ...options, egressUid: uid });
    this.#process = new EgressProcess({
      socketPath: join(options.dataDirectory, 'egress.sock'),
      logPath: join(options.dataDirectory, 'logs', 'egress.log'),
      settings,
      compileCache: options.compileCache,
      onPorts: (ports) => this.#firewall.setPorts(ports),
      onError: options.onError,
    });
  }

  /** Puts the rules of all slots in force. */
  async install(slots: readonly (FirewallSlot & { readonly egress: EgressPolicy })[]): Promise<void> {
    const ports = await this.#process.start(slots.map(({ address, egress }) => ({ address, policy: egress })));
    await this.#firewall.install(slots, ports);
    this.#look = setInterval(() => void this.#lookAfterTable(), LOOK_MS).unref();
  }

  async #lookAfterTable(): Promise<void> {
    try {
      if (!(await this.#firewall.reinstallIfGone())) return;
      this.#onError('packet filter put in force again', new Error('another program had removed its table'));
    } catch (error) {
      this.#onError('packet filter not in force', error);
    }
  }

  /** Whether there is an address of `host`, a name or an IPv4 address, that is on the internet or permitted. */
  async canReach(host: string): Promise<boolean> {
    const addresses = isIPv4(host) ? [host] : await this.#lookup.addresses(host, '');
    return addresses.some((address) => this.#ranges.has(address));
  }

  addSlots(slots: readonly FirewallSlot[]): Promise<void> {
    return this.#firewall.addSlots(slots);
  }

  async removeSlot(slot: FirewallSlot): Promise<void> {
    await Promise.all([this.#firewall.removeSlot(slot), this.#process.delete(slot.address)]);
  }

  /**
   * Replaces what a slot may reach. What is denied then ends, what is allowed goes on. When it throws, the rules are
   * those from before.
   */
  async set(address: string, policy: EgressPolicy): Promise<void> {
    const before = this.#process.policyOf(address) ?? OPEN;
    try {
      await this.#set(address, policy);
    } catch (error) {
      await this.#set(address, before).catch((cause) => this.#onError('egress rules not put back', cause));
      throw error;
    }
  }

  /** Side by side: a process that is slow to answer keeps no address from being denied. */
  async #set(address: string, policy: EgressPolicy): Promise<void> {
    const outcomes = await Promise.allSettled([
      this.#process.set({ address, policy }),
      this.#firewall.setEgress(address, policy),
    ]);
    for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason;
  }

  /** What slots sent, received and were denied, directly and through the proxy. */
  async traffic(slots: readonly FirewallSlot[]): Promise<EgressTraffic[]> {
    const [direct, proxied] = await Promise.all([this.#firewall.traffic(), this.#process.traffic()]);
    return slots.map(({ index, address }) =>
      addTraffic(direct.get(index) ?? NO_TRAFFIC, proxied[address] ?? NO_TRAFFIC),
    );
  }

  /** The same of one slot, and what it was denied of late, the latest first. */
  async report(slot: FirewallSlot): Promise<EgressReport> {
    const packets = await this.#firewall.denials(slot.address);
    const [[traffic], known] = await Promise.all([
      this.traffic([slot]),
      this.#process.report(slot.address, [...new Set(packets.map(({ address }) => address))]),
    ]);
    const byPacketFilter = packets.map(
      ({ from: _from, ...packet }): Denial => ({
        ...packet,
        name: known?.names[packet.address],
        reason: this.#ranges.has(packet.address) ? 'the address is not allowed' : 'the address is not on the internet',
      }),
    );
    const denials = [...byPacketFilter, ...(known?.denials ?? [])].sort((a, b) => b.at - a.at);
    return { traffic: traffic!, denials: denials.slice(0, MAX_DENIALS) };
  }

  /** Ends the egress process unless sandboxes go on, and takes the rules away when none is left. */
  async close({ sandboxesLeft }: { readonly sandboxesLeft: boolean }): Promise<void> {
    clearInterval(this.#look);
    this.#lookup.close();
    await this.#process.stop({ keep: sandboxesLeft });
    if (!sandboxesLeft) await this.#firewall.remove();
  }
}

/** @param blockCidr such as `198.18.8.0/21`; there are 64 of them */
function egressUid(blockCidr: string): number {
  const [, second, third] = blockCidr.split('.').map(Number);
  return FIRST_UID + (second! - 18) * 32 + third! / 8;
}
