// Sandbox records in SQLite. Every method returns when what it says is durable (WAL with synchronous=FULL).
import type { DatabaseSync, StatementSync } from 'node:sqlite';
import type { EgressTraffic } from '../egress/messages.ts';
import type { LifecycleEvent } from '../events/lifecycle-event.ts';
import {
  type ClockOffset,
  type Placement,
  type SandboxRecord,
  type SandboxState,
  type SandboxStore,
  TIMED_STATES,
} from '../sandboxes/sandbox-record.ts';
import type { EventRecords } from './event-records.ts';
import type { SpecSealer } from './sealed-spec.ts';
import { transaction } from './transaction.ts';

interface Row {
  readonly id: string;
  readonly state: SandboxState;
  readonly generation: string;
  readonly started_at: number;
  readonly created_at: number;
  readonly end_at: number;
  readonly spec: string;
  readonly placement: string | null;
  readonly snapshot: string | null;
  readonly traffic_before: string | null;
}

export class SandboxRecords implements SandboxStore {
  readonly #database: DatabaseSync;
  readonly #events: EventRecords;
  readonly #sealer: SpecSealer;
  readonly #insert: StatementSync;
  readonly #update: StatementSync;
  readonly #delete: StatementSync;
  readonly #all: StatementSync;
  readonly #clock: StatementSync;
  readonly #setClock: StatementSync;
  readonly #shift: StatementSync;

  constructor(database: DatabaseSync, events: EventRecords, sealer: SpecSealer) {
    this.#database = database;
    this.#events = events;
    this.#sealer = sealer;
    this.#insert = database.prepare(
      'INSERT INTO sandboxes (id, state, generation, started_at, created_at, end_at, spec, placement, snapshot, traffic_before) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)',
    );
    this.#update = database.prepare(
      'UPDATE sandboxes SET state = ?, generation = ?, started_at = ?, created_at = ?, end_at = ?, spec = ?, placement = ?, snapshot = ?, traffic_before = ? WHERE id = ?',
    );
    this.#delete = database.prepare('DELETE FROM sandboxes WHERE id = ?');
    this.#all = database.prepare('SELECT * FROM sandboxes');
    this.#clock = database.prepare('SELECT boot_id, offset_ms FROM clock');
    this.#setClock = database.prepare('INSERT OR REPLACE INTO clock (id, boot_id, offset_ms) VALUES (1, ?, ?)');
    const timed = [...TIMED_STATES].map((state) => `'${state}'`);
    this.#shift = database.prepare(
      `UPDATE sandboxes SET started_at = started_at + ?1, end_at = end_at + ?1 WHERE state IN (${timed.join(', ')})`,
    );
  }

  insert(record: SandboxRecord, event?: LifecycleEvent): void {
    this.#with(event, () => this.#insert.run(record.id, ...this.#columns(record)));
  }

  update(record: SandboxRecord, event?: LifecycleEvent): void {
    this.#with(event, () => this.#update.run(...this.#columns(record), record.id));
  }

  delete(id: string, event?: LifecycleEvent): void {
    this.#with(event, () => this.#delete.run(id));
  }

  all(): SandboxRecord[] {
    return (this.#all.all() as unknown as Row[]).map((row) => ({
      id: row.id,
      state: row.state,
      generation: row.generation,
      startedAt: row.started_at,
      createdAt: row.created_at,
      endAt: row.end_at,
      spec: this.#sealer.open(row.id, row.spec),
      placement: row.placement === null ? undefined : (JSON.parse(row.placement) as Placement),
      ...(row.snapshot !== null && { snapshot: row.snapshot }),
      ...(row.traffic_before !== null && { trafficBefore: JSON.parse(row.traffic_before) as EgressTraffic }),
    }));
  }

  clockOffset(): ClockOffset | undefined {
    const row = this.#clock.get() as { boot_id: string; offset_ms: number } | undefined;
    return row && { bootId: row.boot_id, ms: row.offset_ms };
  }

  shiftTimes(by: number, { bootId, ms }: ClockOffset): void {
    transaction(this.#database, () => {
      if (by !== 0) this.#shift.run(by);
      this.#setClock.run(bootId, ms);
    });
  }

  #with(event: LifecycleEvent | undefined, change: () => unknown): void {
    if (event === undefined) return void change();
    transaction(this.#database, () => {
      change();
      this.#events.insert(event);
    });
  }

  #columns(record: SandboxRecord): [string, string, number, number, number, string, ...(string | null)[]] {
    return [
      record.state,
      record.generation,
      record.startedAt,
      record.createdAt,
      record.endAt,
      this.#sealer.seal(record.id, record.spec),
      record.placement === undefined ? null : JSON.stringify(record.placement),
      record.snapshot ?? null,
      record.trafficBefore === undefined ? null : JSON.stringify(record.trafficBefore),
    ];
  }
}
