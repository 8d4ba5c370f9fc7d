// A watched directory.
import { SandboxError } from '../errors.ts';
import { fileFailure } from './file-failure.ts';
import { type FilesystemEvent, readWatchEvent, type WatchMessage } from './watch-events.ts';

export interface WatchListeners {
  /** Called with events as they arrive, in order; the next is held back until it has returned. */
  readonly onEvent: (event: FilesystemEvent) => void | Promise<void>;
  /** Called once when no more events will come; with what ended the watch unless that was `stop`. */
  readonly onExit?: ((error?: Error) => void | Promise<void>) | undefined;
}

export class WatchHandle implements AsyncDisposable {
  readonly #listeners: WatchListeners;
  readonly #disconnect: () => void;
  #stopped = false;

  /**
   * @param messages what follows the start of the watch
   * @param disconnect stops reading them
   */
  constructor(messages: AsyncGenerator<WatchMessage>, listeners: WatchListeners, disconnect: () => void) {
    this.#listeners = listeners;
    this.#disconnect = disconnect;
    void this.#follow(messages);
  }

  /** No event is handed over after this. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#disconnect();
  }

  /** `await using watch = await files.watchDir(...)` stops it at the end of the block. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  async #follow(messages: AsyncGenerator<WatchMessage>): Promise<void> {
    let failure: unknown;
    try {
      for await (const message of messages) {
        if (this.#stopped) break;
        const event = readWatchEvent(message);
        if (event !== undefined) await this.#listeners.onEvent(event);
      }
    } catch (error) {
      failure = error;
    }
    this.#disconnect();
    const error = this.#stopped || failure === undefined ? undefined : asError(fileFailure(failure));
    try {
      await this.#listeners.onExit?.(error);
    } catch {
      // Nobody is left who could be told.
    }
  }
}

function asError(failure: unknown): Error {
  return failure instanceof Error ? failure : new SandboxError(String(failure), { cause: failure });
}
