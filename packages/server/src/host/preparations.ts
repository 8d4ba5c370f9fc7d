// Containers that are made while a snapshot is being written, each for the first start from it.

export interface PreparationOptions<T> {
  readonly destroy: (item: T) => Promise<void>;
  readonly onError: (error: unknown) => void;
}

export class Preparations<T> {
  readonly #options: PreparationOptions<T>;
  readonly #begun = new Map<string, Promise<T | undefined>>();

  constructor(options: PreparationOptions<T>) {
    this.#options = options;
  }

  /** Makes one for the snapshot `id` in the background; without success there is none. */
  begin(id: string, make: () => Promise<T>): void {
    const made = make().catch((error: unknown) => {
      this.#options.onError(error);
      return undefined;
    });
    this.#begun.set(id, made);
  }

  /** The one that was made for it; undefined when there is none, or somebody else has it. */
  async take(id: string): Promise<T | undefined> {
    const made = this.#begun.get(id);
    this.#begun.delete(id);
    return made;
  }

  /** Ends the one that was made for it, if nobody has taken it. */
  async end(id: string): Promise<void> {
    const item = await this.take(id);
    if (item !== undefined) await this.#options.destroy(item);
  }

  async close(): Promise<void> {
    await Promise.allSettled([...this.#begun.keys()].map((id) => this.end(id)));
  }
}
