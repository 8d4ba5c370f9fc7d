// Records of snapshots in SQLite; durable as those of sandboxes.
import type { DatabaseSync, StatementSync } from 'node:sqlite';
import type { LifecycleEvent } from '../events/lifecycle-event.ts';
import type { SnapshotRecord, SnapshotRecordStore } from '../sandboxes/sandbox-record.ts';
import type { EventRecords } from './event-records.ts';
import type { SpecSealer } from './sealed-spec.ts';
import { transaction } from './transaction.ts';

interface Row {
  readonly id: string;
  readonly name: string | null;
  readonly sandbox_id: string;
  readonly created_at: number;
  readonly spec: string;
}

export class SnapshotRecords implements SnapshotRecordStore {
  readonly #database: DatabaseSync;
  readonly #events: EventRecords;
  readonly #sealer: SpecSealer;
  readonly #unname: StatementSync;
  readonly #insert: StatementSync;
  readonly #delete: StatementSync;
  readonly #all: StatementSync;

  constructor(database: DatabaseSync, events: EventRecords, sealer: SpecSealer) {
    this.#database = database;
    this.#events = events;
    this.#sealer = sealer;
    this.#unname = database.prepare('UPDATE snapshots SET name = NULL WHERE name = ?');
    this.#insert = database.prepare(
      'INSERT INTO snapshots (id, name, sandbox_id, created_at, spec) VALUES (?, ?, ?, ?, ?)',
    );
    this.#delete = database.prepare('DELETE FROM snapshots WHERE id = ?');
    this.#all = database.prepare('SELECT * FROM snapshots');
  }

  insert({ id, name, sandboxId, createdAt, spec }: SnapshotRecord, event: LifecycleEvent): void {
    transaction(this.#database, () => {
      if (name !== undefined) this.#unname.run(name);
      this.#insert.run(id, name ?? null, sandboxId, createdAt, this.#sealer.seal(id, spec));
      this.#events.insert(event);
    });
  }

  delete(id: string): void {
    this.#delete.run(id);
  }

  all(): SnapshotRecord[] {
    return (this.#all.all() as unknown as Row[]).map((row) => ({
      id: row.id,
      name: row.name ?? undefined,
      sandboxId: row.sandbox_id,
      createdAt: row.created_at,
      spec: this.#sealer.open(row.id, row.spec),
    }));
  }
}
