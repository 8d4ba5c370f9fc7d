// Keeps cookies of one sandbox from others. All have the same domain above them, so a `Domain` attribute would have the
// browser send the cookie to every one; without it, it goes back to the host that set it (RFC 6265, section 4.1.2.3).

import { ACCESS_COOKIE } from './access-cookie.ts';

/**
 * The value of a Set-Cookie header as the browser may have it.
 *
 * @returns undefined where a server would take the gateway's own cookie away
 */
export function narrowSetCookie(value: string): string | undefined {
  if (value.trimStart().toLowerCase().startsWith(ACCESS_COOKIE.toLowerCase())) return undefined;
  if (!/domain/i.test(value)) return value;
  // The first part is the name and value, whatever it is called.
  return value
    .split(';')
    .filter((part, index) => index === 0 || part.split('=', 1)[0]!.trim().toLowerCase() !== 'domain')
    .join(';');
}
