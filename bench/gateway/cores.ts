// Which processors the proxies have to themselves. The rest makes the load and answers it.
import { availableParallelism } from 'node:os';

const count = availableParallelism();

/** One for a proxy; two for two workers. */
export function proxyCores(workers: number): number[] {
  return Array.from({ length: workers }, (_, i) => count - workers + i);
}

/** What is left beside one proxy. */
export const loadCores = `0-${Math.max(0, count - 2)}`;

/** Whether two workers leave processors for the load. */
export const enoughForTwo = count >= 4;

export const enoughForOne = count >= 2;
