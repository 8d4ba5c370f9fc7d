// The slots of an instance: made ahead of time with their rules of the packet filter, lent out, and removed after one use.
import { ReadyPool } from '../ready-pool.ts';
import { type AddressBlock, SLOTS_PER_BLOCK } from './address-block.ts';
import type { Egress } from './egress.ts';
import { shapeSlot } from './shape-slot.ts';
import { createSlots, cutSlot, listSlots, mendSlot, relaxSlot, removeSlot, type Slot, type SlotNames } from './slot.ts';

export interface SlotsOptions {
  readonly names: SlotNames;
  readonly block: AddressBlock;
  readonly egress: Egress;
  /** How many are kept ready. */
  readonly ready: number;
  /** Whether root of a user namespace has to be able to bind low ports and to ping in them. */
  readonly relaxed: boolean;
  /** Of each, in each direction; undefined: no limit. */
  readonly bandwidthMbit: number | undefined;
  readonly onError: (error: unknown) => void;
}

/** A name may still be held by what a crashed process began and that has just ended: another one is free. */
const ATTEMPTS = 3;

export class Slots {
  readonly #options: SlotsOptions;
  readonly #ready: ReadyPool<Slot>;
  readonly #freeIndices: number[] = [];

  constructor(options: SlotsOptions) {
    this.#options = options;
    this.#ready = new ReadyPool<Slot>({
      size: options.ready,
      make: () => this.#make(ATTEMPTS),
      destroy: (slot) => this.remove(slot.index),
      onError: options.onError,
    });
  }

  /** Removes all of the machine's but those in use. To be called once, before any is taken. */
  async keepOnly(used: readonly Pick<Slot, 'index' | 'address'>[]): Promise<void> {
    const { names } = this.#options;
    const indices = new Set(used.map(({ index }) => index));
    for (const index of await listSlots(names)) if (!indices.has(index)) await removeSlot(names, index);
    for (let index = 0; index < SLOTS_PER_BLOCK; index++) if (!indices.has(index)) this.#freeIndices.push(index);
    // A pause that was interrupted has cut its slot.
    for (const slot of used) await this.mend(slot);
  }

  /** Starts to make some ahead of time. */
  fill(): void {
    this.#ready.fill();
  }

  take(): Promise<Slot> {
    return this.#ready.take();
  }

  /** Cuts a slot off the network: what its sandbox does from now on reaches nobody. */
  cut(index: number): Promise<void> {
    return cutSlot(this.#options.names, index);
  }

  /** Undoes `cut`. */
  mend(slot: Pick<Slot, 'index' | 'address'>): Promise<void> {
    return mendSlot(this.#options.names, slot);
  }

  /** Can be repeated. */
  async remove(index: number): Promise<void> {
    const { egress, block, names } = this.#options;
    await egress.removeSlot({ index, address: block.addressOf(index) });
    await removeSlot(names, index);
    // To the end of the queue: an address rests as long as it can before another sandbox has it, so that nothing comes any
    // more for the one before. A late packet would be let in as part of a connection that the kernel still knows.
    if (!this.#freeIndices.includes(index)) this.#freeIndices.push(index);
  }

  close(): Promise<void> {
    return this.#ready.close();
  }

  async #make(attempts: number): Promise<Slot> {
    const { names, block, egress, relaxed, bandwidthMbit } = this.#options;
    const index = this.#freeIndices.shift();
    if (index === undefined) throw new Error(`all ${SLOTS_PER_BLOCK} slots are in use`);
    try {
      const [slot] = await createSlots(names, [{ index, address: block.addressOf(index) }]);
      if (relaxed) await relaxSlot(slot!);
      if (bandwidthMbit !== undefined) await shapeSlot(names, slot!, bandwidthMbit);
      await egress.addSlots([slot!]);
      return slot!;
    } catch (error) {
      await this.remove(index);
      if (attempts === 1) throw error;
      return this.#make(attempts - 1);
    }
  }
}
