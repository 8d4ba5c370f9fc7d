// Notices ports that open and close. The kernel tells nobody, so the table is read again and again, but only as long as
// somebody wants to know.
import type { ListeningPort } from '@sandport/protocol/ports-rpc';
import { describePorts, listeningSockets } from './listening-ports.ts';

export interface PortListener {
  onOpened(port: ListeningPort): void;
  onClosed(port: ListeningPort): void;
}

const INTERVAL_MS = 100;
/** A table that takes long to read is read less often, so that this costs a twentieth of a processor at most. */
const REST = 20;

export class PortWatch {
  readonly #listeners = new Set<PortListener>();
  #known = new Map<number, ListeningPort>();
  #timer: NodeJS.Timeout | undefined;

  /** What is open now; the listener is told of everything else until `delete`. */
  add(listener: PortListener): ListeningPort[] {
    // For the others this is a look like any other.
    this.#look();
    this.#listeners.add(listener);
    if (this.#timer === undefined) this.#schedule(INTERVAL_MS);
    return [...this.#known.values()];
  }

  delete(listener: PortListener): void {
    this.#listeners.delete(listener);
    if (this.#listeners.size > 0) return;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#known = new Map();
  }

  #schedule(ms: number): void {
    this.#timer = setTimeout(() => {
      const started = performance.now();
      this.#look();
      this.#schedule(Math.max(INTERVAL_MS, (performance.now() - started) * REST));
    }, ms);
  }

  #look(): void {
    const sockets = listeningSockets();
    const closed = [...this.#known.values()].filter(({ port }) => !sockets.has(port));
    for (const { port } of closed) this.#known.delete(port);
    for (const port of this.#known.keys()) sockets.delete(port);
    const opened = describePorts(sockets);
    for (const port of opened) this.#known.set(port.port, port);
    for (const listener of this.#listeners) {
      for (const port of closed) listener.onClosed(port);
      for (const port of opened) listener.onOpened(port);
    }
  }
}
