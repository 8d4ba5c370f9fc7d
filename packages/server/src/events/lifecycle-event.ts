// What happened in the life of a sandbox, as it is stored and told.

export const EVENT_KINDS = ['created', 'updated', 'paused', 'resumed', 'checkpointed', 'killed'] as const;
export type EventKind = (typeof EVENT_KINDS)[number];

export interface LifecycleEvent {
  readonly id: string;
  readonly kind: EventKind;
  readonly sandboxId: string;
  /** Of one start of the sandbox: changes with every resumption. */
  readonly executionId: string;
  readonly templateId: string;
  /** Milliseconds since 1970. */
  readonly at: number;
  /** Under the names that the official service uses. */
  readonly data: Readonly<Record<string, unknown>>;
}

/** Positions grow in the order in which events were stored. */
export type StoredEvent = LifecycleEvent & { readonly position: number };

export interface EventQuery {
  /** Default: of all sandboxes. */
  readonly sandboxId?: string;
  readonly kinds: readonly EventKind[];
  readonly limit: number;
  readonly offset: number;
  readonly order: 'asc' | 'desc';
}

/** Where events survive; they are written together with the records that they tell of. */
export interface EventStore {
  list(query: EventQuery): StoredEvent[];
  /** The first events behind a position. */
  after(position: number, limit: number): StoredEvent[];
  /** Position of the newest event; 0 when there is none. */
  readonly last: number;
}

const PREFIX = 'sandbox.lifecycle.';

export function eventType(kind: EventKind): string {
  return `${PREFIX}${kind}`;
}

/** By the whole type, `sandbox.lifecycle.created`. */
export function eventKind(type: string): EventKind | undefined {
  return EVENT_KINDS.find((kind) => type === eventType(kind));
}
