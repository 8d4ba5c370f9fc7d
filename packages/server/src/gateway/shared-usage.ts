// Limits hold for all workers together: each tells what it has, and hears what the others have.

import { NO_USAGE, type TrafficCount, type TrafficLimits, type TrafficUsage } from '@sandport/protocol/routes';
import type { ClientCrowd } from './client-crowd.ts';
import type { RouteTable } from './routing/route-table.ts';

const INTERVAL_MS = 200;
/** Below this part of a worker's share of a limit nothing is told: it hardly counts. */
const TOLD_PART = 4;
/** Of each kind; the largest. */
const MOST = 250;
/** What is taken for granted of who has said nothing. */
const NOTHING = JSON.stringify(NO_USAGE);

export class SharedUsage implements Disposable {
  readonly #table: RouteTable;
  readonly #crowd: ClientCrowd;
  readonly #send: (usage: TrafficUsage) => void;
  readonly #timer: NodeJS.Timeout;
  #told = NOTHING;

  constructor(table: RouteTable, crowd: ClientCrowd, send: (usage: TrafficUsage) => void) {
    this.#table = table;
    this.#crowd = crowd;
    this.#send = send;
    this.#timer = setInterval(() => this.#tell(), INTERVAL_MS).unref();
  }

  /** Takes what the others have; without it, they have nothing. */
  hear(usage: TrafficUsage = NO_USAGE): void {
    this.#crowd.elsewhere = new Map(usage.clients);
    this.#table.setUsageElsewhere(new Map(usage.sandboxes), new Map(usage.requests));
  }

  /** Says everything once more, to a control process that has not heard it. */
  tellAgain(): void {
    this.#told = NOTHING;
  }

  #tell(): void {
    const { limits, workers } = this.#table;
    if (workers < 2) return;
    const usage = collect(this.#table, this.#crowd, limits, workers);
    const text = JSON.stringify(usage);
    if (text === this.#told) return;
    this.#told = text;
    this.#send(usage);
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }
}

function collect(table: RouteTable, crowd: ClientCrowd, limits: TrafficLimits, workers: number): TrafficUsage {
  const { sandboxes, requests } = table.usage(
    leastTold(limits.connectionsPerSandbox, workers),
    leastTold(limits.requestsPerSecond, workers),
  );
  const clients = crowd.usage(leastTold(limits.connectionsPerClient, workers));
  return { sandboxes: largest(sandboxes), clients: largest(clients), requests: largest(requests) };
}

function leastTold(limit: number, workers: number): number {
  return limit === 0 ? Number.POSITIVE_INFINITY : Math.max(1, Math.floor(limit / workers / TOLD_PART));
}

function largest(counts: readonly TrafficCount[]): readonly TrafficCount[] {
  return counts.length <= MOST ? counts : counts.toSorted((a, b) => b[1] - a[1]).slice(0, MOST);
}
