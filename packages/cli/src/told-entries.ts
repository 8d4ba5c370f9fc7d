// Which entries of a sandbox's log have been told, and from when on to ask for more.
import type { SandboxLogEntry } from 'sandport';

/** More than the server keeps of a sandbox. */
const KNOWN = 5000;
const RESUMED = 'sandbox resumed';

export class ToldEntries {
  /** Undefined: ask for the newest, whenever they were. */
  start: Date | undefined;
  readonly #known = new Set<string>();

  /** @returns those that are new */
  add(entries: readonly SandboxLogEntry[]): SandboxLogEntry[] {
    // Several entries can have one time: it is asked for again.
    const added = entries.filter((entry) => !this.#known.has(JSON.stringify(entry)));
    for (const entry of added) this.#known.add(JSON.stringify(entry));
    for (const key of this.#known) {
      if (this.#known.size <= KNOWN) break;
      this.#known.delete(key);
    }
    this.start = entries.at(-1)?.timestamp ?? this.start;
    // The agent's entries go with a pause and come back: those of the last moment before it may not have been seen.
    if (added.some(({ message }) => message === RESUMED)) this.start = undefined;
    return added;
  }
}
