// The nftables table of one instance: translation between slot addresses and the one inner address, what sandboxes
// may reach, and nothing of the machine itself. Rules stay in force when Sandport is not running.
import { isDeepStrictEqual } from 'node:util';
import type { EgressPorts } from '../../egress/messages.ts';
import { type CommandOptions, runCommand } from '../run-command.ts';
import { type DeniedPackets, readDeniedPackets } from './denied-packets.ts';
import { type EgressPolicy, OPEN } from './egress-policy.ts';
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

export class Firewall {
  readonly #options: TableOptions;
  /** Index of each slot that has its chains, by address. */
  readonly #slots = new Map<string, number>();
  /** Addresses of slots whose rules are other than those of a new one. */
  readonly #changed = new Set<string>();

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
    this.#slots.clear();
    this.#changed.clear();
    for (const { index, address } of slots) {
      this.#slots.set(address, index);
      this.#changed.add(address);
    }
  }

  /** Follows resolver and proxy to other ports. */
  async setPorts(ports: EgressPorts): Promise<void> {
    await this.#nft(portsScript(this.#options, ports));
  }

  async addSlots(slots: readonly FirewallSlot[]): Promise<void> {
    if (slots.length === 0) return;
    await this.#nft(slots.map((slot) => addSlotScript(this.#options, slot)).join(''));
    for (const { index, address } of slots) this.#slots.set(address, index);
  }

  async removeSlot(slot: FirewallSlot): Promise<void> {
    this.#slots.delete(slot.address);
    this.#changed.delete(slot.address);
    await this.#nft(removeSlotScript(this.#options, slot), { background: true }).catch(() => {
      // It is not there when a start ended before it was added.
    });
  }

  /** Replaces what a slot may reach, in one transaction. Connections that are now denied end with their next packet. */
  async setEgress(address: string, policy: EgressPolicy): Promise<void> {
    const index = this.#slots.get(address);
    if (index === undefined) throw new Error(`no slot has the address ${address}`);
    const isOpen = isDeepStrictEqual(policy, OPEN);
    if (isOpen && !this.#changed.has(address)) return;
    await this.#nft(policyScript(this.#options, index, policy));
    if (isOpen) this.#changed.delete(address);
    else this.#changed.add(address);
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
    await this.#nft(`table inet ${this.#options.table}\ndelete table inet ${this.#options.table}\n`);
  }

  async #nft(script: string, options?: CommandOptions): Promise<void> {
    await runCommand('nft', ['-f', '-'], { ...options, input: script });
  }
}
