// One timer a sandbox, for its end time. What is left until then is measured by a clock that never jumps: when the
// machine's wall clock is set, no sandbox ends early or stays.

/** setTimeout takes at most 2^31-1 ms; a longer wait is made of several. */
const LONGEST_MS = 2_147_483_647;

export interface EndTimersOptions {
  /** Wall clock, milliseconds since 1970: what end times are given in. */
  readonly now: () => number;
  /** Milliseconds of a clock that never jumps. */
  readonly monotonicNow?: () => number;
  readonly onEnd: (id: string) => void;
}

export class EndTimers {
  readonly #timers = new Map<string, NodeJS.Timeout>();
  readonly #now: () => number;
  readonly #monotonicNow: () => number;
  readonly #onEnd: (id: string) => void;

  constructor(options: EndTimersOptions) {
    this.#now = options.now;
    this.#monotonicNow = options.monotonicNow ?? (() => performance.now());
    this.#onEnd = options.onEnd;
  }

  /** Sets or moves the end of `id`. */
  set(id: string, endAt: number): void {
    this.#wait(id, this.#monotonicNow() + endAt - this.#now());
  }

  #wait(id: string, due: number): void {
    this.clear(id);
    // Rounded up: a timer that fires before its time would be set again and again.
    const wait = Math.min(Math.max(0, Math.ceil(due - this.#monotonicNow())), LONGEST_MS);
    const timer = setTimeout(() => {
      if (this.#monotonicNow() < due) return this.#wait(id, due);
      this.#timers.delete(id);
      this.#onEnd(id);
    }, wait);
    this.#timers.set(id, timer);
  }

  /** Whether an end of `id` is still to come. */
  has(id: string): boolean {
    return this.#timers.has(id);
  }

  clear(id: string): void {
    clearTimeout(this.#timers.get(id));
    this.#timers.delete(id);
  }

  close(): void {
    for (const timer of this.#timers.values()) clearTimeout(timer);
    this.#timers.clear();
  }
}
