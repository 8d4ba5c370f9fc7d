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
  readonly onError: (event: string, error: unknown) => void;
}

/** One that is lent out, as a restart finds it. */
export interface UsedSlot extends Pick<Slot, 'index' | 'address'> {
  readonly owner: string;
}

/** A name may still be held by what a crashed process began and that has just ended: another one is free. */
const ATTEMPTS = 3;

export class Slots {
  readonly #options: SlotsOptions;
  readonly #ready: ReadyPool<Slot>;
  readonly #freeIndices: number[] = [];
  /** To whom each one that is in use is lent. */
  readonly #owners = new Map<number, string>();
  readonly #removals = new Map<number, Promise<void>>();

  constructor(options: SlotsOptions) {
    this.#options = options;
    this.#ready = new ReadyPool<Slot>({
      size: options.ready,
      make: () => this.#make(ATTEMPTS),
      destroy: (slot) => this.#dismantle(slot.index),
      onError: (error) => options.onError('slot not made', error),
    });
  }

  /** Removes all of the machine's but those in use. To be called once, before any is taken. */
  async keepOnly(used: readonly UsedSlot[]): Promise<void> {
    const { names } = this.#options;
    const indices = new Set(used.map(({ index }) => index));
    for (const index of await listSlots(names)) if (!indices.has(index)) await removeSlot(names, index);
    for (let index = 0; index < SLOTS_PER_BLOCK; index++) if (!indices.has(index)) this.#freeIndices.push(index);
    for (const { index, owner } of used) this.#owners.set(index, owner);
    // A pause that was interrupted has cut its slot.
    for (const slot of used)
      await this.mend(slot.index).catch((error) => this.#options.onError('slot not mended', error));
  }

  /** Starts to make some ahead of time. */
  fill(): void {
    this.#ready.fill();
  }

  /** @param owner a name that nobody has had before, and by which the slot is given back */
  async take(owner: string): Promise<Slot> {
    const slot = await this.#ready.take();
    this.#owners.set(slot.index, owner);
    return slot;
  }

  /** Cuts a slot off the network: what its sandbox does from now on reaches nobody, and connections that it makes are refused. */
  cut(index: number): Promise<void> {
    return cutSlot(this.#options.names, index);
  }

  /** Undoes `cut`. Can be repeated. */
  mend(index: number): Promise<void> {
    return mendSlot(this.#options.names, index);
  }

  /** Can be repeated, also when another owner has the slot by now: it is left alone then. */
  async remove(index: number, owner: string): Promise<void> {
    if (this.#owners.get(index) !== owner) return;
    let removal = this.#removals.get(index);
    if (removal === undefined) {
      removal = this.#dismantle(index).finally(() => this.#removals.delete(index));
      this.#removals.set(index, removal);
    }
    await removal;
  }

  async #dismantle(index: number): Promise<void> {
    const { egress, block, names } = this.#options;
    await egress.removeSlot({ index, address: block.addressOf(index) });
    await removeSlot(names, index);
    this.#owners.delete(index);
    // To the end of the queue: an address rests as long as it can before another sandbox has it, so that nothing comes any
    // more for the one before. A late packet would be let in as part of a connection that the kernel still knows.
    this.#freeIndices.push(index);
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
      await this.#dismantle(index);
      if (attempts === 1) throw error;
      return this.#make(attempts - 1);
    }
  }
}
