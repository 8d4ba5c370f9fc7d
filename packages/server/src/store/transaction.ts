// Several statements as one: all of them are durable, or none.
import type { DatabaseSync } from 'node:sqlite';

export function transaction(database: DatabaseSync, statements: () => void): void {
  database.exec('BEGIN IMMEDIATE');
  try {
    statements();
    database.exec('COMMIT');
  } catch (error) {
    // A disk that is full has SQLite take it back by itself, and another time would hide why.
    if (database.isTransaction) database.exec('ROLLBACK');
    throw error;
  }
}
