// Started sandboxes that are nobody's yet. They are made one at a time and only while nobody waits for a start, so that
// the pool takes nothing from those who have none of it.
import { Demand, type DemandBounds } from './demand.ts';

export interface WarmPoolOptions<T> {
  readonly bounds: DemandBounds;
  readonly make: () => Promise<T>;
  readonly destroy: (item: T) => Promise<void>;
  /** Whether it can still be handed over: what is started may also end. */
  readonly isUsable: (item: T) => boolean;
  readonly onError: (error: unknown) => void;
}

/** After a start the machine is left to what has been started: its first command would wait for the next container. */
const QUIET_MS = 100;
const FIRST_RETRY_MS = 1000;
const LONGEST_RETRY_MS = 60_000;

export class WarmPool<T> {
  readonly #options: WarmPoolOptions<T>;
  readonly #demand: Demand;
  readonly #ready: T[] = [];
  readonly #ending = new Set<Promise<void>>();
  #adjusting: Promise<void> | undefined;
  /** The one that is being made, as long as nobody waits for it. */
  #making: Promise<T> | undefined;
  #starts = 0;
  #timer: NodeJS.Timeout | undefined;
  #retryMs = FIRST_RETRY_MS;
  #hasFailed = false;
  #closed = false;

  constructor(options: WarmPoolOptions<T>) {
    this.#options = options;
    this.#demand = new Demand(options.bounds);
  }

  /** The one that has waited longest, or the one that is being made; undefined when there is neither. */
  async take(): Promise<T | undefined> {
    this.#demand.record();
    for (let item = this.#ready.shift(); item !== undefined; item = this.#ready.shift()) {
      if (this.#options.isUsable(item)) return item;
      void this.#destroy(item);
    }
    const making = this.#making;
    this.#making = undefined;
    return making?.catch(() => undefined);
  }

  /** Somebody waits for a start: until a moment after the end of it none is made. */
  hold(): Disposable {
    this.#starts++;
    return {
      [Symbol.dispose]: () => {
        this.#starts--;
        this.#adjustAgain();
      },
    };
  }

  /** Makes or ends some in the background, until there are as many as are wanted. */
  adjust(): void {
    if (this.#closed || this.#adjusting !== undefined || this.#starts > 0) return;
    clearTimeout(this.#timer);
    this.#adjusting = this.#adjust().finally(() => {
      this.#adjusting = undefined;
      this.#adjustAgain();
    });
  }

  async #adjust(): Promise<void> {
    while (!this.#closed && this.#starts === 0) {
      const missing = this.#demand.wanted - this.#ready.length;
      if (missing === 0) return;
      if (missing < 0) {
        await this.#destroy(this.#ready.shift()!);
        continue;
      }
      try {
        const making = this.#options.make();
        this.#making = making;
        const item = await making;
        if (this.#making === making) this.#ready.push(item);
        this.#making = undefined;
        this.#hasFailed = false;
        this.#retryMs = FIRST_RETRY_MS;
      } catch (error) {
        this.#making = undefined;
        this.#options.onError(error);
        this.#hasFailed = true;
        this.#retryMs = Math.min(this.#retryMs * 2, LONGEST_RETRY_MS);
        return;
      }
    }
  }

  /** When the machine has been quiet, a try is due after a failure, or a burst is forgotten. */
  #adjustAgain(): void {
    if (this.#closed || this.#adjusting !== undefined || this.#starts > 0) return;
    clearTimeout(this.#timer);
    const isMissing = this.#ready.length < this.#demand.wanted;
    const wait = !isMissing ? this.#demand.changesIn : this.#hasFailed ? this.#retryMs : QUIET_MS;
    if (wait !== undefined) this.#timer = setTimeout(() => this.adjust(), wait + 1).unref();
  }

  #destroy(item: T): Promise<void> {
    const ending = this.#options.destroy(item).catch(this.#options.onError);
    this.#ending.add(ending);
    return ending.finally(() => this.#ending.delete(ending));
  }

  /** Ends those that are ready, and the one that is being made. */
  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    await this.#adjusting;
    for (const item of this.#ready.splice(0)) void this.#destroy(item);
    await Promise.all(this.#ending);
  }
}
