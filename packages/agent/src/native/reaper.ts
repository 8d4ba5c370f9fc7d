// Waits for every child of the agent: for the programs that it started, whose end it reports, and, as the first process
// of its sandbox, for the orphans that it inherits, which would stay zombies otherwise, each of them a pid lost.
// Node learns nothing of the end of a child of its own that is waited for here: nothing in the agent may ask for it.
import type { EndedChild } from '@sandport/native/process-calls';
import type { Libc } from './libc.ts';

/** Gets a status as waitpid(2) gives it. */
export type ExitListener = (status: number) => void;

export class Reaper {
  readonly #listeners = new Map<number, ExitListener>();
  #started = false;

  /** Waits from now on, whenever the kernel says that a child has ended. */
  start(libc: () => Libc | undefined): void {
    if (this.#started) return;
    this.#started = true;
    process.on('SIGCHLD', () => this.#reap(libc()));
  }

  /** To be called for a child before anything else can happen. */
  expect(pid: number, listener: ExitListener): void {
    this.#listeners.set(pid, listener);
  }

  #reap(libc: Libc | undefined): void {
    if (libc === undefined) return;
    // All are waited for before the first is reported: what a listener does may take a while.
    const ended: EndedChild[] = [];
    for (let child = libc.ended(); child !== undefined; child = libc.ended()) ended.push(child);
    for (const { pid, status } of ended) {
      const listener = this.#listeners.get(pid);
      this.#listeners.delete(pid);
      listener?.(status);
    }
  }
}
