// The control process's side of its connection to one worker.

import type { Socket } from 'node:net';
import type { GatewayDownward, GatewayUpward, TrafficUsage, WorkerReport } from '@sandport/protocol/routes';

/** A line longer than any a worker sends: whoever sends it is none. */
const LONGEST_LINE = 64 * 1024;

export interface WorkerLinkEvents {
  hello(link: WorkerLink): void;
  ready(link: WorkerLink): void;
  failed(link: WorkerLink, message: string): void;
  wake(link: WorkerLink, sandboxId: string): void;
  used(sandboxId: string): void;
  usage(link: WorkerLink, usage: TrafficUsage): void;
  closed(link: WorkerLink): void;
}

export class WorkerLink {
  /** 0 until the worker has said who it is. */
  pid = 0;
  ready = false;
  readonly #socket: Socket;
  readonly #events: WorkerLinkEvents;
  readonly #applied = new Map<number, () => void>();
  readonly #reports = new Map<number, (report: WorkerReport | undefined) => void>();
  #rest = '';

  constructor(socket: Socket, events: WorkerLinkEvents) {
    this.#socket = socket;
    this.#events = events;
    socket.setEncoding('utf8');
    socket.on('data', (text: string) => this.#onText(text));
    socket.on('error', () => {});
    socket.on('close', () => {
      for (const resolve of this.#applied.values()) resolve();
      this.#applied.clear();
      for (const resolve of this.#reports.values()) resolve(undefined);
      this.#reports.clear();
      events.closed(this);
    });
  }

  send(message: GatewayDownward): void {
    if (this.#socket.writable) this.#socket.write(`${JSON.stringify(message)}\n`);
  }

  /** Sends a change. Resolves when the worker has applied it, or is gone: a worker that comes gets a snapshot. */
  apply(message: GatewayDownward & { readonly sequence: number }): Promise<void> {
    return new Promise((resolve) => {
      if (this.#socket.closed) {
        resolve();
        return;
      }
      this.#applied.set(message.sequence, resolve);
      this.send(message);
    });
  }

  /** Asks for the worker's figures. Resolves with undefined when it is gone. */
  report(sequence: number): Promise<WorkerReport | undefined> {
    return new Promise((resolve) => {
      if (this.#socket.closed) {
        resolve(undefined);
        return;
      }
      this.#reports.set(sequence, resolve);
      this.send({ type: 'report', sequence });
    });
  }

  close(): void {
    this.#socket.destroy();
  }

  #onText(text: string): void {
    const lines = (this.#rest + text).split('\n');
    this.#rest = lines.pop() ?? '';
    if (this.#rest.length > LONGEST_LINE) this.close();
    for (const line of lines) {
      try {
        this.#onMessage(JSON.parse(line) as GatewayUpward);
      } catch {
        this.close();
        return;
      }
    }
  }

  #onMessage(message: GatewayUpward): void {
    switch (message.type) {
      case 'hello':
        this.pid = message.pid;
        this.#events.hello(this);
        return;
      case 'ready':
        this.ready = true;
        this.#events.ready(this);
        return;
      case 'failed':
        this.#events.failed(this, message.message);
        return;
      case 'wake':
        this.#events.wake(this, message.sandboxId);
        return;
      case 'used':
        this.#events.used(message.sandboxId);
        return;
      case 'usage':
        this.#events.usage(this, message.usage);
        return;
      case 'report':
        this.#reports.get(message.sequence)?.(message.report);
        this.#reports.delete(message.sequence);
        return;
      case 'applied':
        this.#applied.get(message.sequence)?.();
        this.#applied.delete(message.sequence);
    }
  }
}
