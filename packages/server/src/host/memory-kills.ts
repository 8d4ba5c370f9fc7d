// Processes that the kernel has ended for want of memory, by container. It counts them over the whole life of a control
// group, and most ends of a sandbox come long after.

export class MemoryKills {
  readonly #read: (container: string) => number;
  /** The counts of the last two looks. */
  readonly #counts = new Map<string, readonly [before: number, latest: number]>();

  /** @param read the count so far */
  constructor(read: (container: string) => number) {
    this.#read = read;
  }

  /** To be called about once a second while it runs. */
  look(container: string): void {
    const count = this.#read(container);
    this.#counts.set(container, [this.#counts.get(container)?.[1] ?? count, count]);
  }

  /**
   * Whether there were any just before a container ended. The count of the last look may have the very one that ended it:
   * a process that is being ended is there for a moment.
   */
  anyJustBefore(container: string): boolean {
    return this.#read(container) > (this.#counts.get(container)?.[0] ?? 0);
  }

  forget(container: string): void {
    this.#counts.delete(container);
  }
}
