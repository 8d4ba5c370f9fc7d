// An upgrade that its host has not answered yet: nothing may be read for good, and the end of its client has to be noticed.
import type { Socket } from 'node:net';

/** More is left to the client's kernel. */
const MOST = 65_536;

export class EarlyBytes {
  readonly #socket: Socket;
  readonly #kept: Buffer[];
  #length: number;

  /**
   * Reads on behind an upgrade, and destroys the connection when its client ends it.
   *
   * @param head what was read behind the request with it
   * @param idleMs without another byte, after which it is destroyed, too
   */
  constructor(socket: Socket, head: Buffer, idleMs: number) {
    this.#socket = socket;
    this.#kept = [head];
    this.#length = head.length;
    socket.on('data', this.#keep).on('end', this.#hangUp).on('timeout', this.#hangUp).setTimeout(idleMs);
  }

  readonly #keep = (bytes: Buffer): void => {
    this.#kept.push(bytes);
    this.#length += bytes.length;
    if (this.#length > MOST) this.#socket.pause();
  };

  readonly #hangUp = (): void => void this.#socket.destroy();

  /** Leaves the connection to whoever comes next, paused, and returns what has come. */
  take(): Buffer {
    const socket = this.#socket.pause();
    // What follows is in no protocol whose silence would say something.
    socket.off('data', this.#keep).off('end', this.#hangUp).off('timeout', this.#hangUp).setTimeout(0);
    return Buffer.concat(this.#kept);
  }
}
