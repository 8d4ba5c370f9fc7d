// One operation at a time for each key; the others wait in order.

export class Exclusive {
  /** The last operation of each key that has one. */
  readonly #last = new Map<string, Promise<unknown>>();

  run<T>(key: string, task: () => Promise<T>): Promise<T> {
    const before = this.#last.get(key) ?? Promise.resolve();
    const operation = before.then(task, task);
    const settled = operation
      .catch(() => {})
      .finally(() => {
        if (this.#last.get(key) === settled) this.#last.delete(key);
      });
    this.#last.set(key, settled);
    return operation;
  }

  /** Waits for all that goes on and what waits behind it. */
  async idle(): Promise<void> {
    while (this.#last.size > 0) await Promise.all(this.#last.values());
  }
}
