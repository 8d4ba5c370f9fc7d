// The commands of this sandbox: those that run, and for a while those that have ended.
import type { EndEvent } from '@sandport/protocol/process-rpc';
import { ConnectError } from '../connect/connect-error.ts';
import { ManagedProcess } from './managed-process.ts';
import { describeSelector, type Selector } from './messages.ts';

/** How long a client may still ask how a command ended. */
const KEEP_ENDED_MS = 30_000;
/** Sandboxes that run commands faster than this forget the oldest sooner. */
const MAX_ENDED = 4096;

export interface EndedProcess {
  readonly pid: number;
  readonly tag: string | undefined;
  readonly ended: EndEvent;
}

/** Hears of every command. */
export interface ProcessObserver {
  started(process: ManagedProcess): void;
  ended(process: ManagedProcess, event: EndEvent): void;
}

export class ProcessTable {
  readonly #observer: ProcessObserver | undefined;
  readonly #running = new Map<number, ManagedProcess>();
  readonly #ended = new Map<EndedProcess, NodeJS.Timeout>();

  constructor(observer?: ProcessObserver) {
    this.#observer = observer;
  }

  add(process: ManagedProcess): void {
    this.#observer?.started(process);
    this.#running.set(process.pid, process);
  }

  /** Moves a process to the ended ones. */
  end(process: ManagedProcess, event: EndEvent): void {
    this.#observer?.ended(process, event);
    if (this.#running.get(process.pid) === process) this.#running.delete(process.pid);
    const ended = { pid: process.pid, tag: process.tag, ended: event };
    this.#ended.set(
      ended,
      setTimeout(() => this.#ended.delete(ended), KEEP_ENDED_MS),
    );
    if (this.#ended.size > MAX_ENDED) this.#forgetOldest();
  }

  /** Those that still run, in the order they were started. */
  running(): ManagedProcess[] {
    return [...this.#running.values()].filter((process) => process.running);
  }

  /** @throws ConnectError `not_found` */
  get(selector: Selector): ManagedProcess {
    const process = this.find(selector);
    if (!(process instanceof ManagedProcess)) throw new ConnectError('not_found', describeSelector(selector));
    return process;
  }

  /**
   * The process of that pid or tag. Of several, the one started last: the kernel gives pids out again, clients tags.
   *
   * @throws ConnectError `not_found`
   */
  find(selector: Selector): ManagedProcess | EndedProcess {
    const process =
      'pid' in selector
        ? (this.#running.get(selector.pid) ?? last(this.#ended.keys(), (ended) => ended.pid === selector.pid))
        : (last(this.#running.values(), (running) => running.tag === selector.tag) ??
          last(this.#ended.keys(), (ended) => ended.tag === selector.tag));
    if (process === undefined) throw new ConnectError('not_found', describeSelector(selector));
    return process;
  }

  #forgetOldest(): void {
    for (const [ended, timer] of this.#ended) {
      clearTimeout(timer);
      this.#ended.delete(ended);
      return;
    }
  }
}

function last<Item>(items: Iterable<Item>, matches: (item: Item) => boolean): Item | undefined {
  let found: Item | undefined;
  for (const item of items) if (matches(item)) found = item;
  return found;
}
