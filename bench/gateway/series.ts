import { Samples } from '../support/samples.ts';

/** What one contestant reached in each round. */
export class Series {
  readonly name: string;
  readonly #values: number[] = [];
  readonly #cpus: number[] = [];

  constructor(name: string) {
    this.name = name;
  }

  /** @param cpu processor time in microseconds */
  add(value: number, cpu: number): void {
    this.#values.push(value);
    this.#cpus.push(cpu);
  }

  get value(): number {
    return median(this.#values);
  }

  get cpu(): number {
    return median(this.#cpus);
  }

  /** This one's value to the other's: the median of the ratios within a round, which a busy moment disturbs less. */
  valueRatio(other: Series): number {
    return median(this.#values.map((value, round) => value / other.#values[round]!));
  }

  cpuRatio(other: Series): number {
    return median(this.#cpus.map((cpu, round) => cpu / other.#cpus[round]!));
  }
}

export function median(values: readonly number[]): number {
  const samples = new Samples();
  for (const value of values) samples.add(value);
  return samples.median;
}
