// Counts the open connections of each client address.

import type { Socket } from 'node:net';
import type { TrafficCount } from '@sandport/protocol/routes';
import type { Crowd } from './context.ts';

export class ClientCrowd implements Crowd {
  readonly #limit: number;
  readonly #counts = new Map<string, number>();
  /** What other workers have. */
  elsewhere: ReadonlyMap<string, number> = new Map();

  /** @param limit connections from one address; 0: any number */
  constructor(limit: number) {
    this.#limit = limit;
  }

  enter(address: string, socket: Socket): boolean {
    if (this.#limit === 0 || socket.destroyed) return false;
    const count = (this.#counts.get(address) ?? 0) + 1;
    this.#counts.set(address, count);
    socket.once('close', () => {
      const left = this.#counts.get(address)! - 1;
      if (left === 0) this.#counts.delete(address);
      else this.#counts.set(address, left);
    });
    return count + (this.elsewhere.get(address) ?? 0) > this.#limit;
  }

  /** Addresses with `least` connections and more. */
  usage(least: number): TrafficCount[] {
    return [...this.#counts].filter(([, count]) => count >= least);
  }
}
