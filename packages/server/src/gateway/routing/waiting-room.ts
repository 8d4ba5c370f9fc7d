// Where requests wait for a sandbox that does not run now. Each waits with what has been read of it, and reads no more.

import type { WakeFailure } from '@sandport/protocol/routes';
import type { Refusal } from '../answers/refusal.ts';
import { limits } from '../limits.ts';
import type { Expiring, Sweep } from '../sweep.ts';

/** A request that waits. It is told one of the two, once. */
export interface Waiter {
  /** The sandbox has another route: the request is to be routed anew. */
  onRoute(): void;
  onWakeFailure(refusal: Refusal): void;
}

export class WaitingRoom implements Expiring {
  deadline = 0;
  readonly #sandboxId: string;
  readonly #sweep: Sweep;
  readonly #wake: (() => void) | undefined;
  /** Each with the time until which it waits. */
  readonly #waiters = new Map<Waiter, { readonly until: number; readonly isPage: boolean }>();

  /** @param wake has the sandbox resumed; undefined where its route comes by itself */
  constructor(sandboxId: string, sweep: Sweep, wake: (() => void) | undefined) {
    this.#sandboxId = sandboxId;
    this.#sweep = sweep;
    this.#wake = wake;
  }

  /**
   * @param isPage whether a person looks at it, who is shown a page that waits on where it takes longer
   * @returns undefined, or why it may not wait
   */
  enter(waiter: Waiter, isPage: boolean): Refusal | undefined {
    if (this.#waiters.size >= limits.waitingPerSandbox) {
      return { code: 'too_many_connections', sandboxId: this.#sandboxId, limit: limits.waitingPerSandbox };
    }
    if (this.#waiters.size === 0) {
      this.#sweep.add(this);
      this.deadline = 0;
      this.#wake?.();
    }
    const until = this.#sweep.now + (isPage ? limits.wakePageTime : limits.wakeTime);
    this.#waiters.set(waiter, { until, isPage });
    if (this.deadline === 0 || this.deadline > until) this.deadline = until;
    return undefined;
  }

  leave(waiter: Waiter): void {
    this.#waiters.delete(waiter);
    if (this.#waiters.size === 0) this.#sweep.delete(this);
  }

  /** Asks again, of a control process that may not have heard it. */
  wakeAgain(): void {
    if (this.#waiters.size > 0) this.#wake?.();
  }

  /** Has all of them routed anew. */
  open(): void {
    for (const waiter of this.#empty()) waiter.onRoute();
  }

  fail(code: WakeFailure): void {
    for (const waiter of this.#empty()) waiter.onWakeFailure({ code, sandboxId: this.#sandboxId });
  }

  onDeadline(): void {
    const { now } = this.#sweep;
    let next = Number.POSITIVE_INFINITY;
    for (const [waiter, { until, isPage }] of [...this.#waiters]) {
      if (until > now) {
        next = Math.min(next, until);
      } else {
        this.leave(waiter);
        const code = isPage ? 'sandbox_waking' : 'url_sandbox_transitioning';
        waiter.onWakeFailure({ code, sandboxId: this.#sandboxId });
      }
    }
    if (this.#waiters.size > 0) this.deadline = next;
  }

  #empty(): Waiter[] {
    const waiters = [...this.#waiters.keys()];
    this.#waiters.clear();
    this.#sweep.delete(this);
    return waiters;
  }
}
