// What a sandbox is to the core, and where that is kept.

import type { EgressTraffic } from '../egress/messages.ts';
import type { LifecycleEvent } from '../events/lifecycle-event.ts';
import type { Placement } from '../host/placement.ts';
import type { ResourceLimits } from '../host/runtime/runtime.ts';
import type { EgressProxyOption } from './egress-proxy-option.ts';
import type { HeaderRules } from './header-rules.ts';
import type { Lifecycle } from './lifecycle.ts';

export type { Placement };

/**
 * - `creating`: recorded, not yet answered; after a crash it is removed.
 * - `running`: its creation was answered.
 * - `pausing`: being written down; after a crash it is paused if its snapshot is whole, and runs on if not.
 * - `paused`: its snapshot is whole and nothing of it runs.
 * - `resuming`: being brought back; after a crash it is paused.
 * - `ending`: its end was asked for or came; what it had is being removed.
 */
export type SandboxState = 'creating' | 'running' | 'pausing' | 'paused' | 'resuming' | 'ending';

/** Those whose start and end move with the wall clock. */
export const TIMED_STATES: ReadonlySet<SandboxState> = new Set(['running', 'pausing', 'resuming']);

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
  readonly lifecycle: Lifecycle;
  readonly defaults: TemplateDefaults;
  /** With which it was created; absent in records of older versions. */
  readonly apiKeyId?: string;
}

/** What a template says about every command, kept because the template may change. */
export interface TemplateDefaults {
  readonly user: string;
  readonly workdir: string;
  readonly env: Readonly<Record<string, string>>;
}

export interface NetworkSpec extends EgressSpec {
  readonly allowPublicTraffic: boolean;
  /** Ports that answer everyone although public traffic is not allowed. */
  readonly publicPorts?: readonly number[];
  /** Ports that ask for the traffic access token although public traffic is allowed. */
  readonly privatePorts?: readonly number[];
  /** How often signed URLs were revoked. */
  readonly urlGeneration?: number;
  readonly maskRequestHost?: string;
  /** Whether what browsers say and are told of the origin is masked too. */
  readonly maskRequestOrigin?: boolean;
  /** Ports whose servers get HTTP/2 without TLS from clients that speak HTTP/2. gRPC gets it on every port. */
  readonly http2Ports?: readonly number[];
}

/** What the sandbox may reach. */
export interface EgressSpec {
  /** As it was given; absent when nothing was said. */
  readonly allowInternetAccess?: boolean;
  readonly allowOut: readonly string[];
  readonly denyOut: readonly string[];
  /** With the values of headers, which are secrets. */
  readonly rules?: HeaderRules;
  /** With its password. */
  readonly egressProxy?: EgressProxyOption;
}

export interface SandboxRecord {
  readonly id: string;
  readonly state: SandboxState;
  /** Changes with every start; see Route. */
  readonly generation: string;
  /** Milliseconds since 1970; of the last start. */
  readonly startedAt: number;
  /** When it first ran; never changes, so that lists keep their order. */
  readonly createdAt: number;
  /** Milliseconds since 1970; of a paused sandbox, when it was paused. */
  readonly endAt: number;
  readonly spec: SandboxSpec;
  readonly placement: Placement | undefined;
  /** ID of what it is paused in, from `pausing` to `resuming`. */
  readonly snapshot?: string | undefined;
  /** What it sent, received and was denied before its last pause. */
  readonly trafficBefore?: EgressTraffic;
}

/** A sandbox of which nothing runs. Its place is there only until it has been removed. */
export type PausedSandbox = SandboxRecord & { readonly state: 'paused'; readonly snapshot: string };

/** Whether its start and end are moved with the wall clock: what it has left is a time, and no hour of the day. */
export function hasTimeLeft({ state }: Pick<SandboxRecord, 'state'>): boolean {
  return TIMED_STATES.has(state);
}

export function isPaused(record: SandboxRecord): record is PausedSandbox {
  return record.state === 'paused' && record.snapshot !== undefined;
}

export function isRunning(record: SandboxRecord): record is RunningSandbox {
  return record.state === 'running' && record.placement !== undefined;
}

/** What a client is told: a sandbox on the way to or from a pause is paused to it, and one that is not there yet is not. */
export function publicState({ state }: Pick<SandboxRecord, 'state'>): 'running' | 'paused' | undefined {
  if (state === 'running') return 'running';
  return state === 'pausing' || state === 'paused' || state === 'resuming' ? 'paused' : undefined;
}

/** A sandbox whose start has been answered: it has a place. */
export type RunningSandbox = SandboxRecord & { readonly state: 'running'; readonly placement: Placement };

/** How the wall clock stood when the times of records were written. */
export interface ClockOffset {
  /** Of the boot that `ms` counts from. */
  readonly bootId: string;
  /** Wall clock less time since boot, milliseconds. */
  readonly ms: number;
}

/** Where records survive. Every method returns when its effect is durable. */
export interface SandboxStore {
  /** @param event is durable with the change, or neither is */
  insert(record: SandboxRecord, event?: LifecycleEvent): void;
  /** @param event as of `insert` */
  update(record: SandboxRecord, event?: LifecycleEvent): void;
  delete(id: string, event?: LifecycleEvent): void;
  all(): SandboxRecord[];
  clockOffset(): ClockOffset | undefined;
  /** Stores the offset, and moves start and end of those that run by so many milliseconds; both, or neither. */
  shiftTimes(by: number, offset: ClockOffset): void;
}

/** Memory and files of a sandbox at one moment, from which others are created. */
export interface SnapshotRecord {
  readonly id: string;
  /** As it was given, with a tag. */
  readonly name: string | undefined;
  /** The sandbox that it was made of, which may have ended since. */
  readonly sandboxId: string;
  /** Milliseconds since 1970. */
  readonly createdAt: number;
  /** Of that sandbox. */
  readonly spec: SandboxSpec;
}

/** As `SandboxStore`. */
export interface SnapshotRecordStore {
  /** A name that another one had becomes this one's. */
  insert(record: SnapshotRecord, event: LifecycleEvent): void;
  delete(id: string): void;
  all(): SnapshotRecord[];
}
