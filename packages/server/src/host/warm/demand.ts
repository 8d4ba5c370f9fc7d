// How many sandboxes are worth keeping started, from how many were asked for lately.

/** Those asked for within this time of each other are one burst: making one takes about as long. */
const BURST_MS = 2000;
/** How long a burst is remembered. */
const MEMORY_MS = 60_000;

export interface DemandBounds {
  readonly least: number;
  readonly most: number;
}

export class Demand {
  readonly #bounds: DemandBounds;
  readonly #now: () => number;
  #asked: number[] = [];

  /** @param now milliseconds of a clock that never goes back */
  constructor(bounds: DemandBounds, now: () => number = () => performance.now()) {
    this.#bounds = bounds;
    this.#now = now;
  }

  record(): void {
    this.#forget();
    this.#asked.push(this.#now());
  }

  /** The size of the largest burst that is remembered, within the bounds. */
  get wanted(): number {
    this.#forget();
    let largest = 0;
    let first = 0;
    for (let last = 0; last < this.#asked.length; last++) {
      while (this.#asked[last]! - this.#asked[first]! >= BURST_MS) first++;
      largest = Math.max(largest, last - first + 1);
    }
    return Math.min(Math.max(largest, this.#bounds.least), this.#bounds.most);
  }

  /** Milliseconds until a burst is forgotten that is remembered now; undefined when there is none. */
  get changesIn(): number | undefined {
    this.#forget();
    const [oldest] = this.#asked;
    return oldest === undefined ? undefined : oldest + MEMORY_MS - this.#now();
  }

  #forget(): void {
    const since = this.#now() - MEMORY_MS;
    const kept = this.#asked.findIndex((time) => time > since);
    if (kept !== 0) this.#asked = kept === -1 ? [] : this.#asked.slice(kept);
  }
}
