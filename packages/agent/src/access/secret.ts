// A secret that requests are compared with.
// Without Node's crypto as long as nothing is signed: it costs every sandbox more memory than the rest of the agent.

export class Secret {
  readonly #value: string;
  readonly #bytes: Buffer;

  constructor(value: string) {
    this.#value = value;
    this.#bytes = Buffer.from(value);
  }

  /** Compares in a time that depends on the candidate alone, and so tells nothing about the secret. */
  equals(candidate: unknown): boolean {
    if (typeof candidate !== 'string') return false;
    const bytes = Buffer.from(candidate);
    let difference = bytes.length ^ this.#bytes.length;
    for (let at = 0; at < bytes.length; at++) difference |= bytes[at]! ^ this.#bytes[at % this.#bytes.length]!;
    return difference === 0;
  }

  /** SHA-256 of the text that `compose` makes of the secret, in standard base64 without padding. */
  sign(compose: (secret: string) => string): string {
    const { createHash } = process.getBuiltinModule('node:crypto');
    const digest = createHash('sha256').update(compose(this.#value)).digest('base64');
    return digest.replace(/=+$/, '');
  }
}
