// The schema, as the steps that lead to it. A step that has been released is never changed; a new one is added.

export const migrations: readonly string[] = [
  `
  CREATE TABLE api_keys (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    sha256 BLOB NOT NULL UNIQUE,
    created_at INTEGER NOT NULL
  ) STRICT;
  CREATE TABLE sandboxes (
    id TEXT PRIMARY KEY,
    state TEXT NOT NULL CHECK (state IN ('creating', 'running', 'ending')),
    generation TEXT NOT NULL,
    started_at INTEGER NOT NULL,
    end_at INTEGER NOT NULL,
    spec TEXT NOT NULL,
    placement TEXT
  ) STRICT;
  CREATE INDEX sandboxes_by_start ON sandboxes (started_at, id);
  `,
  `
  CREATE TABLE sandboxes_with_pauses (
    id TEXT PRIMARY KEY,
    state TEXT NOT NULL CHECK (state IN ('creating', 'running', 'pausing', 'paused', 'resuming', 'ending')),
    generation TEXT NOT NULL,
    started_at INTEGER NOT NULL,
    end_at INTEGER NOT NULL,
    spec TEXT NOT NULL,
    placement TEXT,
    snapshot TEXT
  ) STRICT;
  INSERT INTO sandboxes_with_pauses SELECT *, NULL FROM sandboxes;
  DROP TABLE sandboxes;
  ALTER TABLE sandboxes_with_pauses RENAME TO sandboxes;
  CREATE INDEX sandboxes_by_start ON sandboxes (started_at, id);
  CREATE TABLE snapshots (
    id TEXT PRIMARY KEY,
    name TEXT UNIQUE,
    sandbox_id TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    spec TEXT NOT NULL
  ) STRICT;
  `,
  `
  CREATE TABLE events (
    position INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    kind TEXT NOT NULL,
    sandbox_id TEXT NOT NULL,
    execution_id TEXT NOT NULL,
    template_id TEXT NOT NULL,
    at INTEGER NOT NULL,
    data TEXT NOT NULL
  ) STRICT;
  CREATE INDEX events_by_sandbox ON events (sandbox_id, position);
  CREATE INDEX events_by_time ON events (at);
  CREATE TABLE webhooks (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    url TEXT NOT NULL,
    enabled INTEGER NOT NULL,
    kinds TEXT NOT NULL,
    secret BLOB NOT NULL,
    created_at INTEGER NOT NULL,
    position INTEGER NOT NULL,
    attempts INTEGER NOT NULL
  ) STRICT;
  `,
  // From here on credentials within `spec` are encrypted, which needs the secret (seal-old-records.ts); an earlier version
  // could not read them, and is told so by the number of this step.
  'SELECT 1',
  'ALTER TABLE sandboxes ADD COLUMN traffic_before TEXT',
  `
  ALTER TABLE api_keys ADD COLUMN manages INTEGER NOT NULL DEFAULT 0;
  ALTER TABLE api_keys ADD COLUMN max_sandboxes INTEGER;
  ALTER TABLE api_keys ADD COLUMN ending TEXT NOT NULL DEFAULT '';
  UPDATE api_keys SET manages = 1;
  `,
  `
  ALTER TABLE sandboxes ADD COLUMN created_at INTEGER NOT NULL DEFAULT 0;
  UPDATE sandboxes SET created_at = started_at;
  `,
  'CREATE TABLE clock (id INTEGER PRIMARY KEY CHECK (id = 1), boot_id TEXT NOT NULL, offset_ms INTEGER NOT NULL) STRICT',
  // Of all events before it, those that are gone too: what the newest ones take is a subtraction.
  `
  ALTER TABLE events ADD COLUMN bytes_before INTEGER NOT NULL DEFAULT 0;
  UPDATE events SET bytes_before = summed.bytes - octet_length(data) FROM
    (SELECT position, sum(octet_length(data)) OVER (ORDER BY position) AS bytes FROM events) AS summed
    WHERE summed.position = events.position;
  `,
];
