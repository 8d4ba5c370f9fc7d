import { hash, timingSafeEqual } from 'node:crypto';

/** The request header that carries the token of a sandbox without public traffic. */
export const TRAFFIC_TOKEN_HEADER = 'e2b-traffic-access-token';

/** Whether `token` has this SHA-256 digest, in a time that does not depend on the answer. */
export function isTrafficToken(token: string, digest: Buffer): boolean {
  const given = hash('sha256', Buffer.from(token, 'latin1'), 'buffer');
  return given.length === digest.length && timingSafeEqual(given, digest);
}
