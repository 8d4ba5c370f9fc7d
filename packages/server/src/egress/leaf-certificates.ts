// TLS contexts for the hosts whose requests are read: each certificate made once, by its sandbox's own authority.
import { createPrivateKey, KeyObject } from 'node:crypto';
import { createSecureContext, type SecureContext } from 'node:tls';
import { type Authority, createLeafKeys, issueLeaf, openAuthority } from './authority.ts';

const MAX_CONTEXTS = 1000;
/** Well within the life of a certificate. */
const RENEW_MS = 24 * 3_600_000;

export class LeafCertificates {
  readonly #authorities = new Map<string, Promise<Authority>>();
  readonly #contexts = new Map<string, { readonly context: Promise<SecureContext>; readonly until: number }>();
  #keys: Promise<CryptoKeyPair> | undefined;

  /** @param secret of the sandbox's authority */
  contextOf(secret: string, host: string): Promise<SecureContext> {
    const key = `${secret} ${host}`;
    const before = this.#contexts.get(key);
    if (before !== undefined && before.until > performance.now()) return before.context;
    this.#contexts.delete(key);
    const context = this.#make(secret, host);
    context.catch(() => this.#contexts.delete(key));
    this.#contexts.set(key, { context, until: performance.now() + RENEW_MS });
    if (this.#contexts.size > MAX_CONTEXTS) this.#contexts.delete(this.#contexts.keys().next().value!);
    return context;
  }

  async #make(secret: string, host: string): Promise<SecureContext> {
    let authority = this.#authorities.get(secret);
    if (authority === undefined) {
      authority = openAuthority(secret);
      this.#authorities.set(secret, authority);
      if (this.#authorities.size > MAX_CONTEXTS) this.#authorities.delete(this.#authorities.keys().next().value!);
    }
    this.#keys ??= createLeafKeys();
    const { publicKey, privateKey } = await this.#keys;
    const cert = await issueLeaf(await authority, host, publicKey);
    const key = createPrivateKey(KeyObject.from(privateKey).export({ type: 'pkcs8', format: 'pem' }));
    return createSecureContext({ cert, key: key.export({ type: 'pkcs8', format: 'pem' }), minVersion: 'TLSv1.2' });
  }
}
