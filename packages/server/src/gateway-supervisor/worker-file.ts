// Which workers there are, on disk beside the control socket: a control process that starts again finds them by it.

import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { GatewaySettings } from '@sandport/protocol/routes';
import type { ProcessIdentity } from '../process-identity.ts';

export interface WorkerRecords {
  /** What the workers were started with, and cannot change without a new start. */
  readonly settings: GatewaySettings;
  readonly workers: readonly ProcessIdentity[];
}

export class WorkerFile {
  readonly path: string;

  constructor(socketPath: string) {
    this.path = join(dirname(socketPath), 'gateway-workers.json');
  }

  /** The records of the control process before this one, if it left any that can be read. */
  read(): WorkerRecords | undefined {
    try {
      const records = JSON.parse(readFileSync(this.path, 'utf8')) as Partial<WorkerRecords>;
      const { settings, workers } = records;
      if (settings === undefined || !Array.isArray(workers)) return undefined;
      return { settings, workers: workers.filter((one) => Number.isInteger(one?.pid) && one.pid > 1) };
    } catch {
      return undefined;
    }
  }

  write(records: WorkerRecords): void {
    const temporary = `${this.path}.${process.pid}`;
    writeFileSync(temporary, JSON.stringify(records), { mode: 0o600 });
    renameSync(temporary, this.path);
  }

  remove(): void {
    rmSync(this.path, { force: true });
  }
}
