// What a sandbox is to the core, and where that is kept.
import type { Placement } from '../host/host.ts';
import type { ResourceLimits } from '../host/runtime/runtime.ts';

export type { Placement };

/**
 * - `creating`: recorded, not yet answered; after a crash it is removed.
 * - `running`: its creation was answered.
 * - `ending`: its end was asked for or came; what it had is being removed.
 */
export type SandboxState = 'creating' | 'running' | 'ending';

/** What was asked for at creation. */
export interface SandboxSpec {
  readonly templateId: string;
  readonly alias: string;
  readonly metadata: Readonly<Record<string, string>>;
  readonly envVars: Readonly<Record<string, string>>;
  /** Whether the agent asks for an access token. */
  readonly secure: boolean;
  readonly network: NetworkSpec;
  readonly limits: ResourceLimits;
}

export interface NetworkSpec {
  readonly allowPublicTraffic: boolean;
  readonly maskRequestHost?: string;
  /** As it was given; absent when nothing was said. */
  readonly allowInternetAccess?: boolean;
  readonly allowOut: readonly string[];
  readonly denyOut: readonly string[];
}

export interface SandboxRecord {
  readonly id: string;
  readonly state: SandboxState;
  /** Changes with every start; see Route. */
  readonly generation: string;
  /** Milliseconds since 1970. */
  readonly startedAt: number;
  /** Milliseconds since 1970. */
  readonly endAt: number;
  readonly spec: SandboxSpec;
  readonly placement: Placement | undefined;
}

/** A sandbox whose start has been answered: it has a place. */
export type RunningSandbox = SandboxRecord & { readonly state: 'running'; readonly placement: Placement };

/** Where records survive. Every method returns when its effect is durable. */
export interface SandboxStore {
  insert(record: SandboxRecord): void;
  update(record: SandboxRecord): void;
  delete(id: string): void;
  all(): SandboxRecord[];
}
