// All records, in memory and in the store: what is in memory is durable.
import type { LifecycleEvent } from '../events/lifecycle-event.ts';
import type { SandboxRecord, SandboxStore } from './sandbox-record.ts';

export class RecordTable {
  readonly #store: SandboxStore;
  readonly #onEvent: () => void;
  readonly #records = new Map<string, SandboxRecord>();

  /** @param onEvent called when an event is durable */
  constructor(store: SandboxStore, onEvent: () => void) {
    this.#store = store;
    this.#onEvent = onEvent;
  }

  /** Takes over what the store has. To be called once, first. */
  load(): SandboxRecord[] {
    for (const record of this.#store.all()) this.#records.set(record.id, record);
    return this.values();
  }

  insert(record: SandboxRecord): void {
    this.#store.insert(record);
    this.#records.set(record.id, record);
  }

  /** @param event what the change is told as; it is durable with it, or neither is */
  update<R extends SandboxRecord>(record: R, event?: LifecycleEvent): R {
    this.#store.update(record, event);
    this.#records.set(record.id, record);
    if (event !== undefined) this.#onEvent();
    return record;
  }

  /** @param event as of `update` */
  delete(id: string, event?: LifecycleEvent): void {
    this.#store.delete(id, event);
    this.#records.delete(id);
    if (event !== undefined) this.#onEvent();
  }

  get(id: string): SandboxRecord | undefined {
    return this.#records.get(id);
  }

  values(): SandboxRecord[] {
    return [...this.#records.values()];
  }
}
