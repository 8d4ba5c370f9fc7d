// Removals on a busy machine: what fails is tried again, since nobody else will.
import { setTimeout as delay } from 'node:timers/promises';

const FIRST_PAUSE_MS = 1000;
const LONGEST_PAUSE_MS = 60_000;

/**
 * Repeats `task` until it succeeds. Once `closing` is aborted it is tried one last time without a pause.
 *
 * @returns whether it succeeded
 */
export async function untilDone(
  task: () => Promise<void>,
  onError: (error: unknown) => void,
  closing: AbortSignal,
): Promise<boolean> {
  for (let pause = FIRST_PAUSE_MS; ; pause = Math.min(pause * 2, LONGEST_PAUSE_MS)) {
    const isLast = closing.aborted;
    try {
      await task();
      return true;
    } catch (error) {
      onError(error);
      if (isLast) return false;
    }
    await delay(pause, undefined, { signal: closing, ref: false }).catch(() => {});
  }
}
