// All records, in memory and in the store: what is in memory is durable.
import type { SandboxRecord, SandboxStore } from './sandbox-record.ts';

export class RecordTable {
  readonly #store: SandboxStore;
  readonly #records = new Map<string, SandboxRecord>();

  constructor(store: SandboxStore) {
    this.#store = store;
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

  update<R extends SandboxRecord>(record: R): R {
    this.#store.update(record);
    this.#records.set(record.id, record);
    return record;
  }

  delete(id: string): void {
    this.#store.delete(id);
    this.#records.delete(id);
  }

  get(id: string): SandboxRecord | undefined {
    return this.#records.get(id);
  }

  values(): SandboxRecord[] {
    return [...this.#records.values()];
  }
}
