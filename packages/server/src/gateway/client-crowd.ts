// Counts the open connections of each client address.

import type { Socket } from 'node:net';
import type { TrafficCount } from '@sandport/protocol/routes';
import type { Crowd } from './context.ts';
import { TcpStream } from './tcp-stream.ts';

export class ClientCrowd implements Crowd {
  readonly #limit: number;
  readonly #counts = new Map<string, number>();
  /** What other workers have. */
  elsewhere: ReadonlyMap<string, number> = new Map();

  /** @param limit connections from one address; 0: any number */
  constructor(limit: number) {
    this.#limit = limit;
  }

  enter(address: string, connection: Socket | TcpStream): boolean {
    if (this.#limit === 0 || connection.destroyed) return false;
    const count = (this.#counts.get(address) ?? 0) + 1;
    this.#counts.set(address, count);
    if (connection instanceof TcpStream) connection.countedFor = address;
    else connection.once('close', () => this.leave(address));
    return count + (this.elsewhere.get(address) ?? 0) > this.#limit;
  }

  /** Addresses with `least` connections and more. */
  usage(least: number): TrafficCount[] {
    return [...this.#counts].filter(([, count]) => count >= least);
  }

  leave(address: string): void {
    const left = this.#counts.get(address)! - 1;
    if (left === 0) this.#counts.delete(address);
    else this.#counts.set(address, left);
  }
}
