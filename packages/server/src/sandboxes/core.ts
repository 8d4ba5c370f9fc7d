// What the parts of the core share.
import type { Route } from '@sandport/protocol/routes';
import type { Host } from '../host/host.ts';
import type { Semaphore } from '../semaphore.ts';
import type { EndTimers } from './end-timers.ts';
import type { Exclusive } from './exclusive.ts';
import type { RecordTable } from './record-table.ts';
import type { SandboxTokens } from './sandbox-tokens.ts';

/** Where routes go: the gateways. A promise resolves when every gateway knows. */
export interface RouteSink {
  setRoute(route: Route): Promise<void>;
  deleteRoute(sandboxId: string): Promise<void>;
}

export interface SandboxEvents {
  event(name: string, fields: Readonly<Record<string, unknown>>): void;
}

export interface Core {
  readonly records: RecordTable;
  readonly host: Host;
  readonly routes: RouteSink;
  readonly tokens: SandboxTokens;
  readonly timers: EndTimers;
  /** Bounds the starts that go on at once. */
  readonly starts: Semaphore;
  /** Bounds the sandboxes that are written down at once. */
  readonly saves: Semaphore;
  /** Bounds the removals that go on at once. */
  readonly removals: Semaphore;
  /** Held, by sandbox ID, for everything that changes a sandbox's state. */
  readonly exclusive: Exclusive;
  readonly log: SandboxEvents;
  /** Called when an event of a sandbox's life is durable. */
  readonly onEvent: () => void;
  readonly now: () => number;
  /** Domain of the public URLs, with the gateway's port where it is not 443. */
  readonly domain: string;
  readonly nameservers: readonly string[];
  /** Throws `too_many_sandboxes` or `capacity_exhausted` when one more of this key may not run. */
  readonly assertRoom: (apiKeyId: string | undefined) => void;
  /** Whether a snapshot is somebody's or is being read, and stays when a sandbox has been resumed from it. */
  readonly isKept: (snapshotId: string) => boolean;
  /** Throws `shutting_down`. */
  readonly assertOpen: () => void;
  /** Aborted when there is no time to try again what failed. */
  readonly ending: AbortSignal;
}
