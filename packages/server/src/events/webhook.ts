// What a webhook is, and where it survives.
import type { EventKind } from './lifecycle-event.ts';

export interface Webhook {
  readonly id: string;
  readonly name: string;
  readonly url: string;
  readonly enabled: boolean;
  readonly kinds: readonly EventKind[];
  /** With which deliveries are signed; never told. */
  readonly secret: string;
  /** Milliseconds since 1970. */
  readonly createdAt: number;
  /** Of the last event that was delivered, given up or not wanted. */
  readonly position: number;
  /** At the next event so far. */
  readonly attempts: number;
}

/** Every method returns when its effect is durable. */
export interface WebhookStore {
  insert(webhook: Webhook): void;
  update(webhook: Webhook): void;
  setProgress(id: string, position: number, attempts: number): void;
  delete(id: string): void;
  all(): Webhook[];
}
