// A worker's side of its connection to the control process. The link comes back by itself when the control process does.

import { connect, type Socket } from 'node:net';
import type { GatewayDownward, GatewayUpward } from '@sandport/protocol/routes';

const FIRST_PAUSE = 100;
const LONGEST_PAUSE = 500;
/** Bytes. */
const MOST_WAITING = 65_536;

export interface ControlLinkEvents {
  message(message: GatewayDownward): void;
  /** How long there has been no control process, in milliseconds; called before each new attempt. */
  missing(since: number): void;
}

export class ControlLink {
  readonly #path: string;
  readonly #events: ControlLinkEvents;
  #socket: Socket | undefined;
  #timer: NodeJS.Timeout | undefined;
  #rest = '';
  #pause = FIRST_PAUSE;
  #lostAt = performance.now();
  #ended = false;

  constructor(path: string, events: ControlLinkEvents) {
    this.#path = path;
    this.#events = events;
    this.#connect();
  }

  send(message: GatewayUpward): void {
    this.#socket?.write(`${JSON.stringify(message)}\n`);
  }

  /** Sends what may be lost: it is, while a control process that does not read has enough to read. */
  offer(message: GatewayUpward): void {
    if (this.#socket !== undefined && this.#socket.writableLength < MOST_WAITING) this.send(message);
  }

  /** Ends the link after what was sent has left. */
  end(): void {
    this.#ended = true;
    clearTimeout(this.#timer);
    this.#socket?.end();
  }

  #connect(): void {
    const socket = connect(this.#path);
    socket.setEncoding('utf8');
    socket.on('connect', () => {
      this.#socket = socket;
      this.#rest = '';
      this.#pause = FIRST_PAUSE;
      this.send({ type: 'hello', pid: process.pid });
    });
    socket.on('data', (text: string) => this.#onText(text));
    socket.on('error', () => {});
    socket.on('close', () => this.#onClose(socket));
  }

  #onText(text: string): void {
    const lines = (this.#rest + text).split('\n');
    this.#rest = lines.pop() ?? '';
    for (const line of lines) {
      if (line !== '') this.#events.message(JSON.parse(line) as GatewayDownward);
    }
  }

  #onClose(socket: Socket): void {
    if (this.#socket === socket) {
      this.#socket = undefined;
      this.#lostAt = performance.now();
    }
    if (this.#ended) return;
    this.#timer = setTimeout(() => {
      this.#events.missing(performance.now() - this.#lostAt);
      if (!this.#ended) this.#connect();
    }, this.#pause);
    this.#pause = Math.min(this.#pause * 2, LONGEST_PAUSE);
  }
}
