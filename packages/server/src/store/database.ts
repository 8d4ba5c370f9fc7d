// The SQLite database of one data directory. One process at a time has it open.
import { chmodSync, closeSync, openSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { SandportError } from '@sandport/protocol/errors';
import { migrations } from './migrations.ts';

/**
 * Opens the database, brings it to the newest version and holds it exclusively until it is closed.
 * Throws `machine_not_ready` when another process has it.
 */
export function openDatabase(path: string): DatabaseSync {
  // Environments of sandboxes are in it. SQLite gives its journal files the mode of the database.
  closeSync(openSync(path, 'a', 0o600));
  chmodSync(path, 0o600);
  const database = new DatabaseSync(path);
  try {
    // An exclusive lock is the operating system's, so it ends with the process however that ends.
    database.exec('PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL');
    database.exec('BEGIN IMMEDIATE; COMMIT');
    database.exec('PRAGMA foreign_keys = ON');
    migrate(database);
    reserveSpace(database);
  } catch (error) {
    database.close();
    if (error instanceof Error && /locked|busy/i.test(error.message)) {
      throw new SandportError(
        'machine_not_ready',
        `another Sandport runs with this data directory (${path} is locked)`,
      );
    }
    throw error;
  }
  return database;
}

/** Room for the ends of some thousand sandboxes. */
const RESERVED_BYTES = 8 * 1024 * 1024;

/**
 * Has both files, the database and its journal, keep room for what is written later: a disk that is full must not stop
 * sandboxes from being ended, which is what makes room.
 */
function reserveSpace(database: DatabaseSync): void {
  try {
    // One may be left of a start that was cut off here.
    database.exec(`
      DROP TABLE IF EXISTS reserve;
      CREATE TABLE reserve (bytes BLOB) STRICT;
      INSERT INTO reserve VALUES (zeroblob(${RESERVED_BYTES}));
      DROP TABLE reserve;
      PRAGMA wal_checkpoint(PASSIVE);
    `);
  } catch (error) {
    // There is none now, and what is there already still serves.
    if (!isDiskFull(error)) throw error;
    if (database.isTransaction) database.exec('ROLLBACK');
    database.exec('DROP TABLE IF EXISTS reserve');
  }
}

const SQLITE_FULL = 13;

/** Whether something could not be stored for want of room on the disk. */
export function isDiskFull(error: unknown): boolean {
  return (error as { errcode?: number }).errcode === SQLITE_FULL;
}

function migrate(database: DatabaseSync): void {
  const { user_version } = database.prepare('PRAGMA user_version').get() as { user_version: number };
  if (user_version > migrations.length) {
    throw new SandportError(
      'machine_not_ready',
      `the data directory is from a newer Sandport (version ${user_version})`,
    );
  }
  migrations.slice(user_version).forEach((sql, offset) => {
    database.exec(`BEGIN IMMEDIATE; ${sql}; PRAGMA user_version = ${user_version + offset + 1}; COMMIT`);
  });
}
