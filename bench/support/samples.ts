// Times of one kind, and the figures that are printed of them.

export class Samples {
  readonly #values: number[] = [];

  /** @param value milliseconds */
  add(value: number): void {
    this.#values.push(value);
  }

  get median(): number {
    return this.quantile(0.5);
  }

  quantile(fraction: number): number {
    const sorted = this.#values.toSorted((a, b) => a - b);
    return sorted[Math.min(sorted.length - 1, Math.floor(fraction * sorted.length))] ?? Number.NaN;
  }

  toString(): string {
    return [this.quantile(0), this.median, this.quantile(0.99)].map((value) => value.toFixed(0).padStart(7)).join('');
  }
}
