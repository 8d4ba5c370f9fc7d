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
