// As the first process of its sandbox the agent inherits every orphan. Node waits for its own children only; the
// others would stay zombies, each of them a pid lost.
import type { Libc } from './libc.ts';

/** A burst of ends is dealt with once. */
const DELAY_MS = 20;

export class Reaper {
  readonly #own = new Set<number>();
  #timer: NodeJS.Timeout | undefined;

  /** Starts to wait for orphans whenever the kernel says that a child has ended. */
  start(libc: () => Libc | undefined): void {
    process.on('SIGCHLD', () => this.#schedule(libc));
  }

  /** Names a child that Node waits for. */
  add(pid: number): void {
    this.#own.add(pid);
  }

  /** To be called when Node has waited for it. */
  delete(pid: number): void {
    this.#own.delete(pid);
  }

  #schedule(libc: () => Libc | undefined): void {
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      this.#reap(libc);
    }, DELAY_MS);
  }

  #reap(libc: () => Libc | undefined): void {
    const calls = libc();
    if (calls === undefined) return;
    for (let pid = calls.endedChild(); pid !== undefined; pid = calls.endedChild()) {
      // The kernel shows the first that has ended: one of Node's own hides those behind it until Node is through.
      if (this.#own.has(pid)) {
        this.#schedule(libc);
        return;
      }
      calls.reap(pid);
    }
  }
}
