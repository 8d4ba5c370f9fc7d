// How many lines a log may get: what sandboxes do makes errors, and the file is on the machine's disk.

const AT_ONCE = 100;
const REFILL_MS = 10_000;

export class LineBudget {
  #left = AT_ONCE;
  #since: number;
  #leftOut = 0;

  /** @param now milliseconds of a clock that does not go back */
  constructor(now = performance.now()) {
    this.#since = now;
  }

  /** Undefined when there is to be no line; else how many were left out since the last one, if any. */
  take(now = performance.now()): { readonly leftOut?: number } | undefined {
    const more = Math.floor((now - this.#since) / REFILL_MS);
    this.#since += more * REFILL_MS;
    this.#left = Math.min(AT_ONCE, this.#left + more);
    if (this.#left === 0) {
      this.#leftOut++;
      return undefined;
    }
    this.#left--;
    const leftOut = this.#leftOut;
    this.#leftOut = 0;
    return leftOut === 0 ? {} : { leftOut };
  }
}
