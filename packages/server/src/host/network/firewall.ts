// The nftables table of one instance: translation between slot addresses and the one inner address, what sandboxes
// may reach, and nothing of the machine itself. Rules stay in force when Sandport is not running.
import { isDeepStrictEqual } from 'node:util';
import type { EgressPorts } from '../../egress/messages.ts';
import type { CommandOptions } from '../run-command.ts';
import { type DeniedPackets, readDeniedPackets } from './denied-packets.ts';
import { type EgressPolicy, OPEN } from './egress-policy.ts';
import { nft } from './nft.ts';
import { readTraffic, type SlotTraffic } from './slot-traffic.ts';
import {
  addSlotScript,
  policyScript,
  portsScript,
  removeSlotScript,
  type TableOptions,
  tableScript,
} from './table-script.ts';

export interface FirewallSlot {
  readonly index: number;
  readonly address: string;
}

interface Rules {
  readonly index: number;
  readonly egress: EgressPolicy;
}

/** Without one of them something would pass that is denied. */
const HOOKED = ['translate_in', 'redirection', 'to_machine', 'through_machine', 'from_egress_process', 'to_internet'];

export class Firewall {
  readonly #options: TableOptions;
  /** What each slot has in the table, by address. */
  readonly #slots = new Map<string, Rules>();
  /** Changes that are being made. */
  readonly #changes = new Set<Promise<unknown>>();
  /** Set while the table is put in force again; changes wait for it. */
  #repair: Promise<boolean> | undefined;
  #ports: EgressPorts | undefined;

  constructor(options: TableOptions) {
    this.#options = options;
  }

  /**
   * Puts the table in force, with the rules of every slot, in one transaction: there is no moment without them.
   *
   * @param ports on which resolver and proxy listen
   */
  async install(
    slots: readonly (FirewallSlot & { readonly egress: EgressPolicy })[],
    ports: EgressPorts,
  ): Promise<void> {
    const counted = await this.traffic().catch(() => new Map<number, SlotTraffic>());
    const names = this.#options;
    const script = [
      tableScript(this.#options, ports),
      ...slots.map((slot) => addSlotScript(names, slot, counted.get(slot.index))),
      ...slots.map(({ index, egress }) => policyScript(names, index, egress)),
    ];
    await this.#nft(script.join(''));
    this.#ports = ports;
    this.#slots.clear();
    for (const { index, address, egress } of slots) this.#slots.set(address, { index, egress });
  }

  /**
   * Puts the table in force again where somebody has taken it away, as a restart of the machine's own packet filter does.
   * Connections that the rules allow go on; what was counted is counted from 0 again.
   *
   * @returns whether it was gone
   */
  reinstallIfGone(): Promise<boolean> {
    this.#repair ??= this.#reinstallIfGone().finally(() => {
      this.#repair = undefined;
    });
    return this.#repair;
  }

  async #reinstallIfGone(): Promise<boolean> {
    const ports = this.#ports;
    if (ports === undefined || (await this.#isInForce())) return false;
    // The list of slots is only whole between changes.
    while (this.#changes.size > 0) await Promise.allSettled(this.#changes);
    await this.install(
      [...this.#slots].map(([address, rules]) => ({ address, ...rules })),
      ports,
    );
    return true;
  }

  async #isInForce(): Promise<boolean> {
    // Chains alone: any other list makes nft read all sets, which takes it seconds where there are large ones.
    const text = await nft(['-j', 'list', 'chains', 'inet'], { maxOutput: 16_777_216 });
    const { nftables } = JSON.parse(text) as { nftables: { chain?: { table: string; name: string } }[] };
    const own = nftables.filter(({ chain }) => chain?.table === this.#options.table);
    const names = new Set(own.map(({ chain }) => chain?.name));
    return HOOKED.every((name) => names.has(name));
  }

  /** Follows resolver and proxy to other ports. */
  async setPorts(ports: EgressPorts): Promise<void> {
    await this.#change(async () => {
      await this.#nft(portsScript(this.#options, ports));
      this.#ports = ports;
    });
  }

  async addSlots(slots: readonly FirewallSlot[]): Promise<void> {
    if (slots.length === 0) return;
    await this.#change(async () => {
      await this.#nft(slots.map((slot) => addSlotScript(this.#options, slot)).join(''));
      for (const { index, address } of slots) this.#slots.set(address, { index, egress: OPEN });
    });
  }

  async removeSlot(slot: FirewallSlot): Promise<void> {
    await this.#change(async () => {
      this.#slots.delete(slot.address);
      await this.#nft(removeSlotScript(this.#options, slot), { background: true }).catch(() => {
        // It is not there when a start ended before it was added.
      });
    });
  }

  /** Replaces what a slot may reach, in one transaction. Connections that are now denied end with their next packet. */
  async setEgress(address: string, policy: EgressPolicy): Promise<void> {
    await this.#change(async () => {
      const rules = this.#slots.get(address);
      if (rules === undefined) throw new Error(`no slot has the address ${address}`);
      if (rules.egress === OPEN && isDeepStrictEqual(policy, OPEN)) return;
      await this.#nft(policyScript(this.#options, rules.index, policy));
      this.#slots.set(address, { ...rules, egress: isDeepStrictEqual(policy, OPEN) ? OPEN : policy });
    });
  }

  /** Not while the table is put in force again; and once it is, where it was gone. */
  async #change(step: () => Promise<void>): Promise<void> {
    await this.#repair?.catch(() => {});
    try {
      await this.#track(step());
    } catch (error) {
      if (!(await this.reinstallIfGone())) throw error;
      await this.#track(step());
    }
  }

  async #track(step: Promise<void>): Promise<void> {
    this.#changes.add(step);
    try {
      await step;
    } finally {
      this.#changes.delete(step);
    }
  }

  /** What the packet filter counted, by slot index. */
  traffic(): Promise<Map<number, SlotTraffic>> {
    return readTraffic(this.#options.table);
  }

  /** What was refused of late to the slot at this address. */
  denials(address: string): Promise<DeniedPackets[]> {
    return readDeniedPackets(this.#options.table, address);
  }

  async remove(): Promise<void> {
    this.#ports = undefined;
    await this.#repair?.catch(() => {});
    await this.#nft(`table inet ${this.#options.table}\ndelete table inet ${this.#options.table}\n`);
  }

  async #nft(script: string, options?: CommandOptions): Promise<void> {
    await nft(['-f', '-'], { ...options, input: script });
  }
}
