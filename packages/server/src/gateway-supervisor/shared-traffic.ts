// Tells each worker what the others have of what is limited.
import { NO_USAGE, type TrafficCount, type TrafficUsage } from '@sandport/protocol/routes';

export class SharedTraffic<Worker> {
  readonly #tell: (worker: Worker, elsewhere: TrafficUsage) => void;
  readonly #usage = new Map<Worker, TrafficUsage>();
  readonly #told = new Map<Worker, string>();

  constructor(tell: (worker: Worker, elsewhere: TrafficUsage) => void) {
    this.#tell = tell;
  }

  /** A worker that has said nothing yet. */
  add(worker: Worker): void {
    this.set(worker, NO_USAGE);
  }

  set(worker: Worker, usage: TrafficUsage): void {
    this.#usage.set(worker, usage);
    this.#tellAll();
  }

  delete(worker: Worker): void {
    this.#told.delete(worker);
    if (this.#usage.delete(worker)) this.#tellAll();
  }

  #tellAll(): void {
    for (const worker of this.#usage.keys()) {
      const others = [...this.#usage].filter(([other]) => other !== worker).map(([, usage]) => usage);
      const elsewhere: TrafficUsage = {
        sandboxes: sum(others.map(({ sandboxes }) => sandboxes)),
        clients: sum(others.map(({ clients }) => clients)),
        requests: sum(others.map(({ requests }) => requests)),
      };
      const text = JSON.stringify(elsewhere);
      if (text === this.#told.get(worker)) continue;
      this.#told.set(worker, text);
      this.#tell(worker, elsewhere);
    }
  }
}

function sum(lists: readonly (readonly TrafficCount[])[]): TrafficCount[] {
  const total = new Map<string, number>();
  for (const [name, count] of lists.flat()) total.set(name, (total.get(name) ?? 0) + count);
  return [...total].sort(([a], [b]) => (a < b ? -1 : 1));
}
