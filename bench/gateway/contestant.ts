import type { Address } from './processes.ts';

/** A proxy that takes part. */
export interface Contestant {
  readonly name: string;
  readonly http: Address;
  readonly https: Address;
  readonly pids: readonly number[];
}

/** Where the host names of the benchmark lead, for every proxy alike. */
export interface Site {
  /** Serves `/1k` and `/10m`. */
  readonly files: Origin;
  /** Takes uploads and echoes WebSocket messages. */
  readonly sink: Origin;
  /** For files of the run. */
  readonly directory: string;
  /** The Go program of ours. */
  readonly load: string;
  readonly certFile: string;
  readonly keyFile: string;
}

export interface Origin extends Address {
  readonly hostName: string;
}

/** Further lines of a proxy's own configuration would make it another contest: what each is given is in its file. */
export type StartContestant = (
  site: Site,
  cores: readonly number[],
  stack: AsyncDisposableStack,
) => Promise<Contestant>;
