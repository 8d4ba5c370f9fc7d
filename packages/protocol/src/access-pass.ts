// Passes to one private port of one sandbox: what a signed URL carries, and what a browser's cookie holds. A pass is
// `KIND.EXPIRY.MAC`: its expiry in seconds since 1970 (base 36), and an HMAC-SHA256 over kind, sandbox, port and expiry.

import { createHmac, timingSafeEqual } from 'node:crypto';

/** The query parameter that carries a signed URL's pass, or the traffic access token itself. */
export const ACCESS_PARAMETER = 'sandport_access';

/**
 * - `url`: in a signed URL.
 * - `url-session`: in the cookie of a browser that opened a signed URL; ends when the URL does, or is revoked with it.
 * - `session`: in the cookie of a browser that had the traffic access token.
 */
export type PassKind = 'url' | 'url-session' | 'session';

/** The secrets that passes of one sandbox are signed with. */
export interface PassKeys {
  /** For `session`. */
  readonly session: Buffer;
  /** For `url` and `url-session`; another one after signed URLs were revoked. */
  readonly url: Buffer;
}

const LETTERS = { url: 'u', 'url-session': 'v', session: 's' } as const satisfies Record<PassKind, string>;
const FORM = /^([suv])\.([0-9a-z]{1,8})\.([A-Za-z0-9_-]{43})$/;

/** @param expiresAt seconds since 1970 */
export function signPass(keys: PassKeys, kind: PassKind, sandboxId: string, port: number, expiresAt: number): string {
  const mac = macOf(keys, kind, sandboxId, port, expiresAt).toString('base64url');
  return `${LETTERS[kind]}.${expiresAt.toString(36)}.${mac}`;
}

/**
 * Reads a pass and checks it against this sandbox, port and time.
 *
 * @param kinds those that count here
 * @param now seconds since 1970
 * @returns undefined for one that does not hold
 */
export function readPass(
  keys: PassKeys,
  pass: string,
  kinds: readonly PassKind[],
  sandboxId: string,
  port: number,
  now: number,
): { readonly kind: PassKind; readonly expiresAt: number } | undefined {
  const match = FORM.exec(pass);
  const kind = kinds.find((one) => LETTERS[one] === match?.[1]);
  if (match === null || kind === undefined) return undefined;
  const expiresAt = Number.parseInt(match[2]!, 36);
  const mac = Buffer.from(match[3]!, 'base64url');
  if (!timingSafeEqual(mac, macOf(keys, kind, sandboxId, port, expiresAt)) || expiresAt <= now) return undefined;
  return { kind, expiresAt };
}

function macOf(keys: PassKeys, kind: PassKind, sandboxId: string, port: number, expiresAt: number): Buffer {
  const key = kind === 'session' ? keys.session : keys.url;
  return createHmac('sha256', key).update(`sandport pass\n${kind}\n${sandboxId}\n${port}\n${expiresAt}`).digest();
}
