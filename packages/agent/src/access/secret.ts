// A secret that requests are compared with. Only its digest is kept, so a memory dump of the sandbox shows none.
import { createHash, timingSafeEqual } from 'node:crypto';

export class Secret {
  readonly #digest: Buffer;

  constructor(value: string) {
    this.#digest = digest(value);
  }

  /** Compares in a time that tells nothing about the secret. */
  equals(candidate: unknown): boolean {
    return typeof candidate === 'string' && timingSafeEqual(digest(candidate), this.#digest);
  }
}

function digest(value: string): Buffer {
  return createHash('sha256').update(value).digest();
}
