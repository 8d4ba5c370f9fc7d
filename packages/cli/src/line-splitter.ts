// Whole lines out of bytes that arrive in any pieces.

export class LineSplitter {
  readonly #decoder = new TextDecoder();
  #rest = '';

  /** The lines that these bytes complete, without their ends. */
  push(bytes: Uint8Array): string[] {
    const lines = `${this.#rest}${this.#decoder.decode(bytes, { stream: true })}`.split('\n');
    this.#rest = lines.pop()!;
    return lines;
  }
}
