// The machine's wall clock, which somebody may set: told by the clock that counts since boot and never jumps.
import { readFileSync } from 'node:fs';

export interface WallClockOptions {
  /** Milliseconds since 1970. */
  readonly wallNow?: () => number;
  /** Milliseconds since the machine's boot, without the time that it slept (`CLOCK_MONOTONIC`, clock_gettime(2)). */
  readonly sinceBoot?: () => number;
  /**
   * Told of a jump before any time of after it is given out; until it returns without an error, it is told again.
   *
   * @param by milliseconds, negative when the clock was set back
   * @param offset the new one
   */
  readonly onJump: (by: number, offset: number) => void;
}

/** Less is what a clock that is kept right is moved by, and what it takes to read both. */
const SMALLEST_JUMP_MS = 500;

export class WallClock {
  readonly #wallNow: () => number;
  readonly #sinceBoot: () => number;
  readonly #onJump: WallClockOptions['onJump'];
  #offset: number;
  #isTelling = false;

  constructor({ wallNow = Date.now, sinceBoot = sinceMachineBoot, onJump }: WallClockOptions) {
    this.#wallNow = wallNow;
    this.#sinceBoot = sinceBoot;
    this.#onJump = onJump;
    this.#offset = Math.round(wallNow() - sinceBoot());
  }

  /** Wall clock less time since boot, milliseconds: it changes by jumps alone. */
  get offset(): number {
    return this.#offset;
  }

  /** Milliseconds since 1970. */
  now(): number {
    const wall = this.#wallNow();
    const offset = Math.round(wall - this.#sinceBoot());
    const by = offset - this.#offset;
    if (isJump(by) && !this.#isTelling) {
      this.#isTelling = true;
      try {
        this.#onJump(by, offset);
        this.#offset = offset;
      } catch {
        // Its owner knows of it, and is told again.
      } finally {
        this.#isTelling = false;
      }
    }
    return wall;
  }
}

/** @param by difference of two offsets, milliseconds */
export function isJump(by: number): boolean {
  return Math.abs(by) > SMALLEST_JUMP_MS;
}

export function sinceMachineBoot(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}

/** Another after every boot of the machine (random(4)). */
export function readBootId(): string {
  return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
}
