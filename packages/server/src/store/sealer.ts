// Encrypts what has to be stored and used again, with a key that is derived from the data directory's secret, which lies
// in another file: a copy of the database alone tells nothing.
import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto';

const ALGORITHM = 'aes-256-gcm';
const NONCE_BYTES = 12;
const TAG_BYTES = 16;

export class Sealer {
  readonly #key: Uint8Array;

  /**
   * @param seed at least 32 random bytes
   * @param purpose of what is sealed; others cannot be opened
   */
  constructor(seed: Uint8Array, purpose: string) {
    this.#key = new Uint8Array(hkdfSync('sha256', seed, '', `sandport-seal-${purpose}`, 32));
  }

  /** @param context what the text belongs to; it has to be named again to open it */
  seal(text: string, context: string): Uint8Array {
    const nonce = randomBytes(NONCE_BYTES);
    const cipher = createCipheriv(ALGORITHM, this.#key, nonce).setAAD(Buffer.from(context));
    const sealed = Buffer.concat([cipher.update(text, 'utf8'), cipher.final()]);
    return Buffer.concat([nonce, cipher.getAuthTag(), sealed]);
  }

  /** Throws when it was sealed with another key or for another context, or has been changed since. */
  open(sealed: Uint8Array, context: string): string {
    const nonce = sealed.subarray(0, NONCE_BYTES);
    const tag = sealed.subarray(NONCE_BYTES, NONCE_BYTES + TAG_BYTES);
    const decipher = createDecipheriv(ALGORITHM, this.#key, nonce, { authTagLength: TAG_BYTES });
    decipher.setAAD(Buffer.from(context)).setAuthTag(tag);
    const opened = [decipher.update(sealed.subarray(NONCE_BYTES + TAG_BYTES)), decipher.final()];
    return Buffer.concat(opened).toString('utf8');
  }
}
