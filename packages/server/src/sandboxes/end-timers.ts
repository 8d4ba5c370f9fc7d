// One timer a sandbox, for its end time.

/** setTimeout takes at most 2^31-1 ms; a longer wait is made of several. */
const LONGEST_MS = 2_147_483_647;

export class EndTimers {
  readonly #timers = new Map<string, NodeJS.Timeout>();
  readonly #now: () => number;
  readonly #onEnd: (id: string) => void;

  constructor(options: { now: () => number; onEnd: (id: string) => void }) {
    this.#now = options.now;
    this.#onEnd = options.onEnd;
  }

  /** Sets or moves the end of `id`. */
  set(id: string, endAt: number): void {
    this.clear(id);
    const wait = Math.min(Math.max(0, endAt - this.#now()), LONGEST_MS);
    const timer = setTimeout(() => {
      if (this.#now() < endAt) return this.set(id, endAt);
      this.#timers.delete(id);
      this.#onEnd(id);
    }, wait);
    this.#timers.set(id, timer);
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
