// Typing into a terminal. Node can wait for a terminal's output without blocking, but not for room for its input.
import { writeSync } from 'node:fs';
import { Writable } from 'node:stream';

/** A program that does not read fills its terminal: how long until it is tried again, at first and at most. */
const FIRST_PAUSE_MS = 2;
const LONGEST_PAUSE_MS = 100;

export class TerminalInput extends Writable {
  readonly #descriptor: number;
  readonly #isOpen: () => boolean;
  #pause: NodeJS.Timeout | undefined;
  #waiting: ((error: Error) => void) | undefined;

  /** @param descriptor of the agent's end, non-blocking */
  constructor(descriptor: number, isOpen: () => boolean) {
    super();
    this.#descriptor = descriptor;
    this.#isOpen = isOpen;
  }

  override _write(bytes: Buffer, _encoding: string, callback: (error?: Error) => void): void {
    this.#write(bytes, FIRST_PAUSE_MS, callback);
  }

  override _destroy(error: Error | null, callback: (error: Error | null) => void): void {
    clearTimeout(this.#pause);
    this.#waiting?.(error ?? closed());
    callback(error);
  }

  #write(bytes: Buffer, pauseMs: number, callback: (error?: Error) => void): void {
    this.#waiting = undefined;
    let rest = bytes;
    let pause = pauseMs;
    try {
      while (rest.length > 0) {
        if (!this.#isOpen()) throw closed();
        rest = rest.subarray(writeSync(this.#descriptor, rest));
        pause = FIRST_PAUSE_MS;
      }
      callback();
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') {
        callback(error as Error);
        return;
      }
      const next = Math.min(pause * 2, LONGEST_PAUSE_MS);
      this.#waiting = callback;
      this.#pause = setTimeout(() => this.#write(rest, next, callback), pause);
    }
  }
}

function closed(): Error {
  return new Error('the terminal is closed');
}
