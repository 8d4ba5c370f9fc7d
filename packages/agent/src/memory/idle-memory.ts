// Gives memory back to the machine when the agent has had nothing to do for a while. Node would keep what a burst of work
// took, in every sandbox and in every snapshot of one: it collects garbage only while it makes more.
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import type { Libc } from '../native/libc.ts';

/** Without a request for so long, the agent is at rest. */
const REST_MS = 3000;
/** For less, the processor time of a collection is not worth it. */
const WORTH_BYTES = 1024 * 1024;

/** V8's own function. */
type Collect = (options: { type: 'major'; flavor: 'last-resort'; execution: 'sync' }) => void;

export class IdleMemory {
  readonly #libc: () => Libc | undefined;
  #least = Number.POSITIVE_INFINITY;
  #timer: NodeJS.Timeout | undefined;

  /** @param libc without loading it, which would itself take memory */
  constructor(libc: () => Libc | undefined) {
    this.#libc = libc;
  }

  /** To be called whenever a request comes and when it is over. */
  noteActivity(): void {
    if (this.#timer === undefined) {
      this.#least = Math.min(this.#least, process.memoryUsage.rss());
      this.#timer = setTimeout(() => this.#rest(), REST_MS).unref();
    } else {
      this.#timer.refresh();
    }
  }

  #rest(): void {
    this.#timer = undefined;
    if (process.memoryUsage.rss() - this.#least < WORTH_BYTES) return;
    const collect = collector();
    // The flavour in which V8 also returns the pages that it has emptied.
    collect({ type: 'major', flavor: 'last-resort', execution: 'sync' });
    this.#libc()?.trimHeap();
    this.#least = process.memoryUsage.rss();
  }
}

/** Starting Node with --expose-gc would do, but costs more memory: its built-in snapshot is made without it. */
function collector(): Collect {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as Collect;
  setFlagsFromString('--no-expose-gc');
  return collect;
}
