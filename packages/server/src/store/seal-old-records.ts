// Encrypts what an earlier version wrote in the clear, and leaves nothing of it in free pages of the file.
import type { DatabaseSync } from 'node:sqlite';
import { isUnsealed, type SpecSealer } from './sealed-spec.ts';
import { transaction } from './transaction.ts';

interface Row {
  readonly id: string;
  readonly spec: string;
}

export function sealOldRecords(database: DatabaseSync, sealer: SpecSealer): void {
  let found = false;
  transaction(database, () => {
    for (const table of ['sandboxes', 'snapshots']) {
      const rows = database.prepare(`SELECT id, spec FROM ${table}`).all() as unknown as Row[];
      const update = database.prepare(`UPDATE ${table} SET spec = ? WHERE id = ?`);
      for (const { id, spec } of rows) {
        if (!isUnsealed(spec)) continue;
        update.run(sealer.seal(id, sealer.open(id, spec)), id);
        found = true;
      }
    }
  });
  if (found) database.exec('VACUUM; PRAGMA wal_checkpoint(TRUNCATE)');
}
