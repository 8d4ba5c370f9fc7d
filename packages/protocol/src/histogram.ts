// Counts of durations by upper bounds, as Prometheus reads them.

/** Upper bounds in milliseconds, with room for a resumed sandbox at the end. */
export const DURATION_BOUNDS = [
  1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000, 30_000, 60_000,
] as const;

export interface HistogramCounts {
  /** By bound; the last is for what is longer than every bound. */
  readonly counts: readonly number[];
  /** Milliseconds. */
  readonly sum: number;
}

export class Histogram implements HistogramCounts {
  readonly counts: number[] = new Array<number>(DURATION_BOUNDS.length + 1).fill(0);
  sum = 0;

  observe(ms: number): void {
    let index = 0;
    while (index < DURATION_BOUNDS.length && ms > DURATION_BOUNDS[index]!) index++;
    this.counts[index]!++;
    this.sum += ms;
  }
}

/** One histogram of several. */
export function addHistograms(all: readonly HistogramCounts[]): HistogramCounts {
  const counts = new Array<number>(DURATION_BOUNDS.length + 1).fill(0);
  for (const one of all)
    for (const [index, count] of one.counts.entries()) counts[index] = (counts[index] ?? 0) + count;
  return { counts, sum: all.reduce((sum, one) => sum + one.sum, 0) };
}
