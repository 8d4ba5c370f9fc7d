// The same task several times at once, and how long each took.

export interface Outcomes<T> {
  readonly values: T[];
  /** Milliseconds of each. */
  readonly ms: number[];
}

export async function atOnce<T>(count: number, task: (index: number) => Promise<T>): Promise<Outcomes<T>> {
  const ms: number[] = [];
  const each = async (index: number): Promise<T> => {
    const started = performance.now();
    const value = await task(index);
    ms.push(performance.now() - started);
    return value;
  };
  const values = await Promise.all(Array.from({ length: count }, (_, index) => each(index)));
  return { values, ms };
}
