// Webhooks in SQLite. Their secrets are sealed: the database alone cannot sign.
import type { DatabaseSync, StatementSync } from 'node:sqlite';
import type { EventKind } from '../events/lifecycle-event.ts';
import type { Webhook, WebhookStore } from '../events/webhook.ts';
import type { Sealer } from './sealer.ts';

interface Row {
  readonly id: string;
  readonly name: string;
  readonly url: string;
  readonly enabled: number;
  readonly kinds: string;
  readonly secret: Uint8Array;
  readonly created_at: number;
  readonly position: number;
  readonly attempts: number;
}

export class WebhookRecords implements WebhookStore {
  readonly #sealer: Sealer;
  readonly #insert: StatementSync;
  readonly #update: StatementSync;
  readonly #progress: StatementSync;
  readonly #delete: StatementSync;
  readonly #all: StatementSync;

  constructor(database: DatabaseSync, sealer: Sealer) {
    this.#sealer = sealer;
    this.#insert = database.prepare(
      'INSERT INTO webhooks (id, name, url, enabled, kinds, secret, created_at, position, attempts) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)',
    );
    this.#update = database.prepare(
      'UPDATE webhooks SET name = ?, url = ?, enabled = ?, kinds = ?, secret = ?, created_at = ?, position = ?, attempts = ? WHERE id = ?',
    );
    this.#progress = database.prepare('UPDATE webhooks SET position = ?, attempts = ? WHERE id = ?');
    this.#delete = database.prepare('DELETE FROM webhooks WHERE id = ?');
    this.#all = database.prepare('SELECT * FROM webhooks ORDER BY rowid');
  }

  insert(webhook: Webhook): void {
    this.#insert.run(webhook.id, ...this.#columns(webhook));
  }

  update(webhook: Webhook): void {
    this.#update.run(...this.#columns(webhook), webhook.id);
  }

  setProgress(id: string, position: number, attempts: number): void {
    this.#progress.run(position, attempts, id);
  }

  delete(id: string): void {
    this.#delete.run(id);
  }

  all(): Webhook[] {
    return (this.#all.all() as unknown as Row[]).map((row) => ({
      id: row.id,
      name: row.name,
      url: row.url,
      enabled: row.enabled === 1,
      kinds: JSON.parse(row.kinds) as EventKind[],
      secret: this.#sealer.open(row.secret, row.id),
      createdAt: row.created_at,
      position: row.position,
      attempts: row.attempts,
    }));
  }

  #columns(webhook: Webhook): [string, string, number, string, Uint8Array, number, number, number] {
    const { id, name, url, enabled, kinds, secret, createdAt, position, attempts } = webhook;
    const sealed = this.#sealer.seal(secret, id);
    return [name, url, enabled ? 1 : 0, JSON.stringify(kinds), sealed, createdAt, position, attempts];
  }
}
