// All records, in memory and in the store: what is in memory is durable, but for creations that have not come to an end.
import type { LifecycleEvent } from '../events/lifecycle-event.ts';
import { type ClockOffset, hasTimeLeft, type SandboxRecord, type SandboxStore } from './sandbox-record.ts';
import { isJump } from './wall-clock.ts';

export class RecordTable {
  readonly #store: SandboxStore;
  readonly #onEvent: () => void;
  readonly #onError: (id: string, error: unknown) => void;
  readonly #records = new Map<string, SandboxRecord>();
  /** Creations, which the store does not know. */
  readonly #begun = new Set<string>();

  /**
   * @param onEvent called when an event is durable
   * @param onError called when the store cannot take what `restore` or `forget` is about
   */
  constructor(store: SandboxStore, onEvent: () => void, onError: (id: string, error: unknown) => void) {
    this.#store = store;
    this.#onEvent = onEvent;
    this.#onError = onError;
  }

  /** Takes over what the store has, as the wall clock stands now. To be called once, first. */
  load(offset: ClockOffset): SandboxRecord[] {
    const before = this.#store.clockOffset();
    // After another boot nothing runs that could have time left.
    if (before?.bootId !== offset.bootId) this.#store.shiftTimes(0, offset);
    else if (isJump(offset.ms - before.ms)) this.#store.shiftTimes(offset.ms - before.ms, offset);
    for (const record of this.#store.all()) this.#records.set(record.id, record);
    return this.values();
  }

  /** Moves start and end of those that run with the wall clock. Throws when the store cannot, and nothing is moved. */
  shiftTimes(by: number, offset: ClockOffset): void {
    this.#store.shiftTimes(by, offset);
    for (const [id, record] of this.#records) {
      if (!hasTimeLeft(record)) continue;
      this.#records.set(id, { ...record, startedAt: record.startedAt + by, endAt: record.endAt + by });
    }
  }

  /** Keeps a creation in memory alone until the first `update`: a crash before that leaves nothing that is anybody's. */
  begin(record: SandboxRecord): void {
    this.#records.set(record.id, record);
    this.#begun.add(record.id);
  }

  /** @param event what the change is told as; it is durable with it, or neither is */
  update<R extends SandboxRecord>(record: R, event?: LifecycleEvent): R {
    if (this.#begun.has(record.id)) this.#store.insert(record, event);
    else this.#store.update(record, event);
    this.#begun.delete(record.id);
    this.#records.set(record.id, record);
    if (event !== undefined) this.#onEvent();
    return record;
  }

  /**
   * Puts back what a record was before a step that has failed. The store may be what failed: then it still has the
   * step's beginning, of which the next start makes the same.
   */
  restore<R extends SandboxRecord>(record: R): R {
    this.#records.set(record.id, record);
    this.#attempt(record.id, () => this.#store.update(record));
    return record;
  }

  /** Removes a record of which nothing has come, in the same way. */
  forget(id: string): void {
    this.#records.delete(id);
    if (!this.#begun.delete(id)) this.#attempt(id, () => this.#store.delete(id));
  }

  #attempt(id: string, change: () => void): void {
    try {
      change();
    } catch (error) {
      this.#onError(id, error);
    }
  }

  /** @param event as of `update` */
  delete(id: string, event?: LifecycleEvent): void {
    this.#store.delete(id, event);
    this.#records.delete(id);
    this.#begun.delete(id);
    if (event !== undefined) this.#onEvent();
  }

  get(id: string): SandboxRecord | undefined {
    return this.#records.get(id);
  }

  values(): SandboxRecord[] {
    return [...this.#records.values()];
  }
}
