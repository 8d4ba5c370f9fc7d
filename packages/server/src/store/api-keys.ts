// API keys: only their SHA-256 digests are stored.
import { createHash, randomBytes, randomUUID } from 'node:crypto';
import type { DatabaseSync, StatementSync } from 'node:sqlite';

/** The form that the official clients check before they send a key. */
const FORM = /^e2b_[0-9a-f]{40}$/;

export class ApiKeys {
  readonly #insert: StatementSync;
  readonly #find: StatementSync;
  readonly #count: StatementSync;

  constructor(database: DatabaseSync) {
    this.#insert = database.prepare('INSERT INTO api_keys (id, name, sha256, created_at) VALUES (?, ?, ?, ?)');
    this.#find = database.prepare('SELECT id FROM api_keys WHERE sha256 = ?');
    this.#count = database.prepare('SELECT count(*) AS n FROM api_keys');
  }

  /** Makes a key and returns it, the only time that it can be seen. */
  create(name: string): string {
    const key = `e2b_${randomBytes(20).toString('hex')}`;
    this.#insert.run(randomUUID(), name, digest(key), Date.now());
    return key;
  }

  /** The ID of a key, or undefined when it is not valid. The look-up is by digest, so its time tells nothing of the key. */
  identify(key: string): string | undefined {
    if (!FORM.test(key)) return undefined;
    const row = this.#find.get(digest(key)) as { id: string } | undefined;
    return row?.id;
  }

  get count(): number {
    return (this.#count.get() as { n: number }).n;
  }
}

function digest(key: string): Buffer {
  return createHash('sha256').update(key).digest();
}
