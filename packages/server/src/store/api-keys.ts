// API keys: only their SHA-256 digests are stored.
import { createHash, randomBytes, randomUUID } from 'node:crypto';
import type { DatabaseSync, StatementSync } from 'node:sqlite';

/** The form that the official clients check before they send a key. */
const FORM = /^e2b_[0-9a-f]{40}$/;
/** By so much of its end a person tells one key from another. */
const SHOWN = 4;

export interface ApiKey {
  readonly id: string;
  readonly name: string;
  /** Milliseconds since 1970. */
  readonly createdAt: number;
  /** Whether it may make and revoke others: the machine's own. */
  readonly manages: boolean;
  /** Sandboxes of this key that run at once; undefined: as many as the server has room for. */
  readonly maxSandboxes: number | undefined;
  /** Its last characters. */
  readonly ending: string;
}

interface Row {
  readonly id: string;
  readonly name: string;
  readonly created_at: number;
  readonly manages: number;
  readonly max_sandboxes: number | null;
  readonly ending: string;
}

export class ApiKeys {
  readonly #insert: StatementSync;
  readonly #find: StatementSync;
  readonly #get: StatementSync;
  readonly #all: StatementSync;
  readonly #delete: StatementSync;

  constructor(database: DatabaseSync) {
    const columns = 'id, name, created_at, manages, max_sandboxes, ending';
    this.#insert = database.prepare(`INSERT INTO api_keys (${columns}, sha256) VALUES (?, ?, ?, ?, ?, ?, ?)`);
    this.#find = database.prepare(`SELECT ${columns} FROM api_keys WHERE sha256 = ?`);
    this.#get = database.prepare(`SELECT ${columns} FROM api_keys WHERE id = ?`);
    this.#all = database.prepare(`SELECT ${columns} FROM api_keys ORDER BY rowid`);
    this.#delete = database.prepare('DELETE FROM api_keys WHERE id = ?');
  }

  /** Makes a key and returns it, the only time that it can be seen. */
  create(name: string, options: { readonly manages?: boolean; readonly maxSandboxes?: number | undefined } = {}) {
    const key = `e2b_${randomBytes(20).toString('hex')}`;
    const id = randomUUID();
    const { manages = false, maxSandboxes = null } = options;
    this.#insert.run(id, name, Date.now(), manages ? 1 : 0, maxSandboxes, key.slice(-SHOWN), digest(key));
    return { key, record: this.get(id)! };
  }

  /** Undefined when it is not valid. The look-up is by digest, so its time tells nothing of the key. */
  identify(key: string): ApiKey | undefined {
    if (!FORM.test(key)) return undefined;
    return read(this.#find.get(digest(key)) as Row | undefined);
  }

  get(id: string): ApiKey | undefined {
    return read(this.#get.get(id) as Row | undefined);
  }

  list(): ApiKey[] {
    return (this.#all.all() as unknown as Row[]).map((row) => read(row)!);
  }

  /** It is not valid any more; what was created with it goes on. */
  delete(id: string): void {
    this.#delete.run(id);
  }
}

function read(row: Row | undefined): ApiKey | undefined {
  if (row === undefined) return undefined;
  const { id, name, created_at: createdAt, manages, max_sandboxes: maxSandboxes, ending } = row;
  return { id, name, createdAt, manages: manages === 1, maxSandboxes: maxSandboxes ?? undefined, ending };
}

function digest(key: string): Buffer {
  return createHash('sha256').update(key).digest();
}
