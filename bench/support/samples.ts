// Times of one kind, and the figures that are printed of them.

export class Samples {
  readonly #values: number[] = [];

  /** @param value milliseconds */
  add(value: number): void {
    this.#values.push(value);
  }

  addAll(values: readonly number[]): void {
    this.#values.push(...values);
  }

  get median(): number {
    return this.quantile(0.5);
  }

  /** The smallest sample that at least `fraction` of all do not exceed: with few samples a high one is the maximum. */
  quantile(fraction: number): number {
    const sorted = this.#values.toSorted((a, b) => a - b);
    return sorted[Math.max(0, Math.ceil(fraction * sorted.length) - 1)] ?? Number.NaN;
  }

  toString(): string {
    return [0, 0.5, 0.99, 1].map((fraction) => this.quantile(fraction).toFixed(0).padStart(8)).join('');
  }
}

export const SAMPLES_HEADING = ['minimum', 'median', 'p99', 'maximum'].map((word) => word.padStart(8)).join('');
