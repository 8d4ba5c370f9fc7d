// Text of one output of a command, put together from bytes that arrive in any pieces.

/** A listener for text; output is held back until it has returned. */
export type OutputListener = (data: string) => void | Promise<void>;

export class Output {
  // A byte order mark is output like any other.
  readonly #decoder = new TextDecoder('utf-8', { ignoreBOM: true });
  readonly #listener: OutputListener | undefined;
  #text = '';

  constructor(listener: OutputListener | undefined) {
    this.#listener = listener;
  }

  /** All so far. */
  get text(): string {
    return this.#text;
  }

  /** A character that is split between two pieces is held back until the second. */
  push(bytes: Uint8Array): void | Promise<void> {
    return this.#add(this.#decoder.decode(bytes, { stream: true }));
  }

  /** No more will come: what was held back becomes replacement characters. */
  end(): void | Promise<void> {
    return this.#add(this.#decoder.decode());
  }

  #add(text: string): void | Promise<void> {
    this.#text += text;
    if (text !== '') return this.#listener?.(text);
  }
}
