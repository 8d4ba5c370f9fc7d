// A callback for ports, until it is stopped.
import type { PortStreamMessage } from '@sandport/protocol/ports-rpc';
import { SandboxError } from '../errors.ts';

export interface PortListeners {
  readonly onMessage: (message: PortStreamMessage) => void | Promise<void>;
  readonly onExit?: ((error?: Error) => void) | undefined;
}

export class PortSubscription implements AsyncDisposable {
  readonly #disconnect: () => void;
  #stopped = false;

  /** @param disconnect stops reading the messages */
  constructor(messages: AsyncGenerator<PortStreamMessage>, listeners: PortListeners, disconnect: () => void) {
    this.#disconnect = disconnect;
    void this.#follow(messages, listeners);
  }

  /** Nothing is called after this. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#disconnect();
  }

  /** `await using ports = await sandbox.ports.onOpen(...)` stops it at the end of the block. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  async #follow(messages: AsyncGenerator<PortStreamMessage>, { onMessage, onExit }: PortListeners): Promise<void> {
    let failure: unknown;
    try {
      for await (const message of messages) {
        if (this.#stopped) break;
        await onMessage(message);
      }
    } catch (error) {
      failure = error;
    }
    this.#disconnect();
    try {
      if (this.#stopped || failure === undefined) onExit?.();
      else onExit?.(failure instanceof Error ? failure : new SandboxError(String(failure), { cause: failure }));
    } catch {
      // Nobody is left who could be told.
    }
  }
}
