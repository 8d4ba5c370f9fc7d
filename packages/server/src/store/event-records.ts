// Lifecycle events in SQLite: bounded in age, number and bytes; the oldest go first.
import type { DatabaseSync, StatementSync } from 'node:sqlite';
import {
  EVENT_KINDS,
  type EventKind,
  type EventQuery,
  type EventStore,
  type LifecycleEvent,
  type StoredEvent,
} from '../events/lifecycle-event.ts';

export interface EventLimits {
  readonly count: number;
  /** Of what they say, as JSON. */
  readonly bytes: number;
  readonly ageMs: number;
}

const DEFAULT_LIMITS: EventLimits = { count: 100_000, bytes: 64 * 1024 * 1024, ageMs: 7 * 24 * 3600 * 1000 };
/** Events are pruned each time that so many have come, so that a single one costs next to nothing. */
const PRUNE_EVERY = 64;
/** Everything waits for a deletion: a thousand rows take some milliseconds. What is left over goes with the next event. */
const PRUNE_AT_ONCE = 256;

interface Row {
  readonly position: number;
  readonly id: string;
  readonly kind: EventKind;
  readonly sandbox_id: string;
  readonly execution_id: string;
  readonly template_id: string;
  readonly at: number;
  readonly data: string;
}

export class EventRecords implements EventStore {
  readonly #limits: EventLimits;
  readonly #insert: StatementSync;
  readonly #list: Readonly<Record<'asc' | 'desc', StatementSync>>;
  readonly #after: StatementSync;
  readonly #last: StatementSync;
  readonly #prune: StatementSync;
  #untilPruned = 0;

  constructor(database: DatabaseSync, limits: EventLimits = DEFAULT_LIMITS) {
    this.#limits = limits;
    this.#insert = database.prepare(
      `INSERT INTO events (id, kind, sandbox_id, execution_id, template_id, at, data, bytes_before)
         VALUES (?, ?, ?, ?, ?, ?, ?, coalesce(
           (SELECT bytes_before + octet_length(data) FROM events ORDER BY position DESC LIMIT 1), 0))
         RETURNING position, bytes_before + octet_length(data) AS bytes`,
    );
    const list = (order: string): StatementSync =>
      database.prepare(
        `SELECT * FROM events WHERE (?1 IS NULL OR sandbox_id = ?1) AND kind IN (SELECT value FROM json_each(?2))
         ORDER BY position ${order} LIMIT ?3 OFFSET ?4`,
      );
    this.#list = { asc: list('ASC'), desc: list('DESC') };
    this.#after = database.prepare('SELECT * FROM events WHERE position > ? ORDER BY position LIMIT ?');
    // Also of those that were pruned: a position is never given twice.
    this.#last = database.prepare("SELECT seq FROM sqlite_sequence WHERE name = 'events'");
    this.#prune = database.prepare(
      `DELETE FROM events WHERE position IN (SELECT position FROM events ORDER BY position LIMIT ${PRUNE_AT_ONCE})
         AND (at < ? OR position <= ? OR bytes_before < ?)`,
    );
  }

  /** Within the transaction of whoever changes the record that it tells of. */
  insert(event: LifecycleEvent): void {
    const { id, kind, sandboxId, executionId, templateId, at, data } = event;
    const inserted = this.#insert.get(id, kind, sandboxId, executionId, templateId, at, JSON.stringify(data));
    if (this.#untilPruned-- > 0) return;
    const { position, bytes } = inserted as unknown as { position: number; bytes: number };
    const { ageMs, count, bytes: mostBytes } = this.#limits;
    const { changes } = this.#prune.run(at - ageMs, position - count, bytes - mostBytes);
    this.#untilPruned = changes === PRUNE_AT_ONCE ? 0 : Math.min(PRUNE_EVERY, count);
  }

  list({ sandboxId, kinds, limit, offset, order }: EventQuery): StoredEvent[] {
    const wanted = JSON.stringify(kinds.length === 0 ? EVENT_KINDS : kinds);
    return (this.#list[order].all(sandboxId ?? null, wanted, limit, offset) as unknown as Row[]).map(read);
  }

  after(position: number, limit: number): StoredEvent[] {
    return (this.#after.all(position, limit) as unknown as Row[]).map(read);
  }

  get last(): number {
    return (this.#last.get() as { seq: number } | undefined)?.seq ?? 0;
  }
}

function read(row: Row): StoredEvent {
  return {
    position: row.position,
    id: row.id,
    kind: row.kind,
    sandboxId: row.sandbox_id,
    executionId: row.execution_id,
    templateId: row.template_id,
    at: row.at,
    data: JSON.parse(row.data) as StoredEvent['data'],
  };
}
