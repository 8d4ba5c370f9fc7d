// Things made ahead of time, so that a creation does not wait for them: taken by one, refilled in the background.

export interface ReadyPoolOptions<T> {
  /** How many are kept ready. */
  readonly size: number;
  readonly make: () => Promise<T>;
  readonly destroy: (item: T) => Promise<void>;
  readonly onError: (error: unknown) => void;
}

const RETRY_MS = 1000;

export class ReadyPool<T> {
  readonly #options: ReadyPoolOptions<T>;
  readonly #ready: T[] = [];
  #filling: Promise<void> | undefined;
  #closed = false;
  #retry: NodeJS.Timeout | undefined;

  constructor(options: ReadyPoolOptions<T>) {
    this.#options = options;
  }

  /** One that is ready, or a new one when there is none. */
  async take(): Promise<T> {
    const item = this.#ready.shift();
    this.fill();
    return item ?? this.#options.make();
  }

  /** Starts filling up in the background. */
  fill(): void {
    if (this.#closed || this.#filling !== undefined || this.#ready.length >= this.#options.size) return;
    clearTimeout(this.#retry);
    this.#filling = this.#fill().finally(() => {
      this.#filling = undefined;
    });
  }

  async #fill(): Promise<void> {
    try {
      while (!this.#closed && this.#ready.length < this.#options.size) this.#ready.push(await this.#options.make());
    } catch (error) {
      this.#options.onError(error);
      if (!this.#closed) this.#retry = setTimeout(() => this.fill(), RETRY_MS).unref();
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#retry);
    await this.#filling;
    await Promise.all(this.#ready.splice(0).map((item) => this.#options.destroy(item)));
  }
}
