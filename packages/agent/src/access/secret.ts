// A secret that requests are compared with.
import { createHash, timingSafeEqual } from 'node:crypto';

export class Secret {
  readonly #value: string;
  readonly #digest: Buffer;

  constructor(value: string) {
    this.#value = value;
    this.#digest = digest(value);
  }

  /** Compares in a time that tells nothing about the secret. */
  equals(candidate: unknown): boolean {
    return typeof candidate === 'string' && timingSafeEqual(digest(candidate), this.#digest);
  }

  /** SHA-256 of the text that `compose` makes of the secret, in standard base64 without padding. */
  sign(compose: (secret: string) => string): string {
    return digest(compose(this.#value)).toString('base64').replace(/=+$/, '');
  }
}

function digest(value: string): Buffer {
  return createHash('sha256').update(value).digest();
}
