// The cookie by which a browser is known on one private port. Its prefix has browsers refuse it from any other host
// (RFC 6265bis, section 4.1.3.2), and its value is a pass, not the token.

export const ACCESS_COOKIE = '__Host-sandport-access';

/** More are not looked at: a request may carry many of the same name. */
const MOST_COOKIES = 4;

/** @param seconds how long the browser keeps it */
export function accessCookie(pass: string, seconds: number): string {
  return `${ACCESS_COOKIE}=${pass}; Path=/; Max-Age=${seconds}; Secure; HttpOnly; SameSite=None; Partitioned`;
}

/** The passes in the values of Cookie headers. */
export function readAccessCookies(values: readonly string[]): string[] {
  const passes: string[] = [];
  for (const value of values) {
    if (!value.includes(ACCESS_COOKIE)) continue;
    for (const pair of value.split(';')) {
      const text = pair.trim();
      if (isAccessPair(text) && passes.length < MOST_COOKIES) passes.push(text.slice(ACCESS_COOKIE.length + 1));
    }
  }
  return passes;
}

/** A Cookie header's value without the gateway's own; '' when nothing is left. */
export function withoutAccessCookie(value: string): string {
  if (!value.includes(ACCESS_COOKIE)) return value;
  return value
    .split(';')
    .map((pair) => pair.trim())
    .filter((pair) => !isAccessPair(pair))
    .join('; ');
}

function isAccessPair(pair: string): boolean {
  return pair.startsWith(ACCESS_COOKIE) && (pair[ACCESS_COOKIE.length] === '=' || pair.length === ACCESS_COOKIE.length);
}
