// Time limits without a timer per request: one interval looks at every connection's deadline.

import { Roster } from '../roster.ts';
import { limits } from './limits.ts';

/** Something with a time limit. `deadline` is a time of `Sweep.now`, or 0 for none. */
export interface Expiring {
  deadline: number;
  onDeadline(): void;
}

export class Sweep {
  /** Milliseconds of a clock that never goes back, as of the last sweep. */
  now: number;
  readonly #members = new Roster<Expiring>(Symbol('sweep'));
  readonly #clock: () => number;
  readonly #timer: NodeJS.Timeout;

  /** @param clock milliseconds that never go back */
  constructor(interval: number = limits.sweepInterval, clock: () => number = () => performance.now()) {
    this.#clock = clock;
    this.now = clock();
    this.#timer = setInterval(() => this.#sweep(), interval);
    this.#timer.unref();
  }

  add(member: Expiring): void {
    this.#members.add(member);
  }

  delete(member: Expiring): void {
    this.#members.delete(member);
  }

  #sweep(): void {
    this.now = this.#clock();
    for (const member of this.#members) {
      if (member.deadline !== 0 && member.deadline <= this.now) {
        member.deadline = 0;
        member.onDeadline();
      }
    }
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
    this.#members.clear();
  }
}
