// The parts of `life`: single steps beside a bare runtime's, the same with many alive and at once, and what sandboxes take.
import { wantedParts } from '../support/wanted-parts.ts';
import { measureEndTimes } from './end-times.ts';
import { measureMemory } from './memory.ts';
import { measureSeries } from './series.ts';
import { measureSteps } from './steps.ts';

export interface LifeOptions {
  readonly rounds: number;
  readonly signal: AbortSignal;
}

const parts: Readonly<Record<string, (options: LifeOptions) => Promise<void>>> = {
  steps: measureSteps,
  series: measureSeries,
  memory: measureMemory,
  'end-times': measureEndTimes,
};

export async function benchmarkLife(options: LifeOptions & { readonly only: readonly string[] }): Promise<void> {
  const wanted = wantedParts(options.only, Object.keys(parts));
  for (const [name, measure] of Object.entries(parts)) {
    if (wanted(name)) await measure(options);
  }
}
