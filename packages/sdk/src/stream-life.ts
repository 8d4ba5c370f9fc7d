// How long a stream to the agent may live: until it is ended, its current limit passes, or the caller's signal aborts.
import { MAX_TIMER_MS } from './connection-config.ts';
import { TimeoutError } from './errors.ts';

export class StreamLife {
  readonly #controller = new AbortController();
  readonly #caller: AbortSignal | undefined;
  readonly #onAbort = (): void => this.#controller.abort(this.#caller?.reason);
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(caller: AbortSignal | undefined) {
    this.#caller = caller;
    if (caller?.aborted) this.#onAbort();
    else caller?.addEventListener('abort', this.#onAbort, { once: true });
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Replaces the limit before: `ms` milliseconds from now, 0 for none, after which the reason is a TimeoutError. */
  limit(ms: number, message: string): void {
    clearTimeout(this.#timer);
    if (ms > 0 && ms <= MAX_TIMER_MS) {
      this.#timer = setTimeout(() => this.#controller.abort(new TimeoutError(message)), ms);
    }
  }

  /** Lets go of the timer and the caller's signal, for a stream that has come to its end. */
  release(): void {
    clearTimeout(this.#timer);
    this.#caller?.removeEventListener('abort', this.#onAbort);
  }

  /** Cuts a stream that still runs. */
  end(): void {
    this.release();
    this.#controller.abort();
  }
}
