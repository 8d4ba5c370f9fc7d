import { type NetConnectOpts, Socket, type SocketConstructorOpts } from 'node:net';

/**
 * A socket that is still read after a write to it has failed. A server may answer and hang up in the midst of a request;
 * its answer has then arrived, and a socket that is destroyed by the failed write would lose it.
 */
export class UpstreamSocket extends Socket {
  readonly #onWriteError: () => boolean;

  /** @param onWriteError tells whether to go on reading; if not, the socket is destroyed as usual */
  constructor(options: SocketConstructorOpts & NetConnectOpts, onWriteError: () => boolean) {
    super(options);
    this.#onWriteError = onWriteError;
    this.connect(options);
  }

  override destroy(error?: NodeJS.ErrnoException): this {
    if (error?.syscall === 'write' && !this.destroyed && this.#onWriteError()) return this;
    return super.destroy(error);
  }
}
