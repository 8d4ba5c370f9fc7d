// Decides whether a request may use a private port: by the header that the clients send, by the pass in a signed URL, or
// by the cookie of a browser that had either. Knows nothing of connections.

import { type PassKind, readPass, signPass } from '@sandport/protocol/access-pass';
import type { Reply } from '../answers/refusal.ts';
import { wantsHtml } from '../answers/wants-html.ts';
import type { RequestFacts } from '../routing/request-facts.ts';
import { accessCookie, readAccessCookies } from './access-cookie.ts';
import { asLocation, readAccessParameter, withoutAccessParameter } from './access-parameter.ts';
import { isFromElsewhere } from './from-elsewhere.ts';
import type { PrivateAccess } from './private-access.ts';
import { SIGN_IN_PATH } from './sign-in-path.ts';
import { isTrafficToken, TRAFFIC_TOKEN_HEADER } from './traffic-token.ts';

/** How long a browser that had the token needs it no more, in seconds. */
const SESSION_SECONDS = 7 * 24 * 3600;
const SESSIONS: readonly PassKind[] = ['session', 'url-session'];

export interface PortAccess {
  readonly access: PrivateAccess;
  readonly sandboxId: string;
  readonly port: number;
  /** Whether the host is this port's own, so that what a browser keeps for it belongs to this port alone. */
  readonly ownHost: boolean;
  /** Whether the sandbox runs, and a request without credentials costs nothing. */
  readonly running: boolean;
  /** Seconds since 1970. */
  readonly now: number;
}

/** @returns undefined where the request may go on, or what it is answered */
export function checkAccess(request: RequestFacts, to: PortAccess): Reply | undefined {
  const { access, sandboxId, ownHost } = to;
  const token = request.header(TRAFFIC_TOKEN_HEADER);
  if (token !== undefined && token !== '') {
    const signIn = ownHost && wantsHtml(request);
    if (!isTrafficToken(token, access.tokenDigest)) return { code: 'traffic_token_invalid', sandboxId, signIn };
    if (!ownHost || request.method !== 'POST' || request.path() !== SIGN_IN_PATH) return undefined;
    return { signedIn: sessionCookie(to, 'session', to.now + SESSION_SECONDS) };
  }
  if (!ownHost) return { code: 'traffic_token_missing', sandboxId, signIn: false };
  const parameter = readAccessParameter(request.path());
  if (parameter !== undefined) return checkParameter(request, parameter, to);
  if (to.running && request.path() !== SIGN_IN_PATH && isPreflight(request)) return undefined;
  if (hasSession(request, to)) return undefined;
  return { code: 'traffic_token_missing', sandboxId, signIn: true };
}

/** A person's browser gets a cookie for what stood in the URL, and the URL without it; a program's request goes on. */
function checkParameter(request: RequestFacts, parameter: string, to: PortAccess): Reply | undefined {
  const { access, sandboxId, port, now } = to;
  const byToken = isTrafficToken(parameter, access.tokenDigest);
  const pass = byToken ? undefined : readPass(access.keys, parameter, ['url'], sandboxId, port, now);
  const isPage = request.method === 'GET' && wantsHtml(request);
  if (!byToken && pass === undefined) {
    // A link that has ended takes nothing from a browser that is signed in.
    if (!hasSession(request, to)) return { code: 'signed_url_invalid', sandboxId };
    return isPage ? { location: asLocation(withoutAccessParameter(request.path())) } : undefined;
  }
  if (!isPage) return undefined;
  const location = asLocation(withoutAccessParameter(request.path()));
  const end = byToken ? now + SESSION_SECONDS : pass!.expiresAt;
  // A link must not take away a longer access that the person has already.
  if ((sessionEnd(request, to) ?? 0) >= end) return { location };
  return { location, cookie: sessionCookie(to, byToken ? 'session' : 'url-session', end) };
}

/** Browsers send no credentials with these (Fetch, section 3.3.2), so the server behind has to answer them for all. */
function isPreflight(request: RequestFacts): boolean {
  return (
    request.method === 'OPTIONS' &&
    request.header('origin') !== undefined &&
    request.header('access-control-request-method') !== undefined
  );
}

/** Whether the browser has a cookie that opens the port, and sends the request for a page that may use it. */
function hasSession(request: RequestFacts, to: PortAccess): boolean {
  return sessionEnd(request, to) !== undefined && !isFromElsewhere(request, to.sandboxId);
}

/** When the access that the request's cookie gives ends; undefined for none. */
function sessionEnd(request: RequestFacts, { access, sandboxId, port, now }: PortAccess): number | undefined {
  let end: number | undefined;
  for (const pass of readAccessCookies(request.values('cookie'))) {
    const read = readPass(access.keys, pass, SESSIONS, sandboxId, port, now);
    if (read !== undefined && read.expiresAt > (end ?? 0)) end = read.expiresAt;
  }
  return end;
}

function sessionCookie({ access, sandboxId, port, now }: PortAccess, kind: PassKind, expiresAt: number): string {
  return accessCookie(signPass(access.keys, kind, sandboxId, port, expiresAt), expiresAt - now);
}
