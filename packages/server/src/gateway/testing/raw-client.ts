// For tests: a TCP client that sees every byte, and how the connection ended.

import { connect, type Socket } from 'node:net';

export class RawClient implements Disposable {
  readonly socket: Socket;
  received = '';
  /** Set once the connection is over: the error's code, 'end' after a FIN. */
  ended: string | undefined;

  constructor(port: number, host = '127.0.0.1') {
    this.socket = connect({ port, host, allowHalfOpen: true });
    this.socket.setEncoding('latin1');
    this.socket.on('data', (text: string) => {
      this.received += text;
    });
    this.socket.on('end', () => {
      this.ended ??= 'end';
    });
    this.socket.on('error', (error: NodeJS.ErrnoException) => {
      this.ended ??= error.code ?? 'error';
    });
  }

  send(text: string): void {
    this.socket.write(text, 'latin1');
  }

  /** Waits until the bytes received since the last call match, and takes them up to the match's end. */
  async expect(pattern: RegExp): Promise<string> {
    let match = pattern.exec(this.received);
    while (match === null) {
      await this.#pause(() => `${pattern} in ${JSON.stringify(this.received.slice(0, 2000))}, ended: ${this.ended}`);
      match = pattern.exec(this.received);
    }
    const taken = this.received.slice(0, match.index + match[0].length);
    this.received = this.received.slice(taken.length);
    return taken;
  }

  async untilEnded(): Promise<string> {
    while (this.ended === undefined) await this.#pause(() => 'an end of the connection');
    return this.ended;
  }

  readonly #deadline = performance.now() + 15_000;

  async #pause(what: () => string): Promise<void> {
    if (performance.now() > this.#deadline) throw new Error(`waited in vain for ${what()}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }

  [Symbol.dispose](): void {
    this.socket.destroy();
  }
}
