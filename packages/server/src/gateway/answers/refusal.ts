// Why the gateway answers a request itself, and the answer as the official clients expect it.

import { type ErrorCode, errorTable, SandportError } from '@sandport/protocol/errors';
import type { RequestFacts } from '../routing/request-facts.ts';
import { isAsset } from './is-asset.ts';
import { pageFor } from './pages/pages.ts';
import { ERROR_HEADER } from './pages/scripts.ts';
import { wantsHtml } from './wants-html.ts';

export type Refusal =
  | { readonly code: 'invalid_host'; readonly reason: 'host' | 'sandbox-id' }
  | { readonly code: 'invalid_sandbox_port' | 'missing_routing_header' | 'upstream_failed' }
  | {
      readonly code: 'traffic_token_missing' | 'traffic_token_invalid';
      readonly sandboxId: string;
      /** Whether the person who reads the page can give the token there. */
      readonly signIn: boolean;
    }
  | {
      readonly code:
        | 'url_sandbox_not_found'
        | 'url_sandbox_paused'
        | 'sandbox_waking'
        | 'signed_url_invalid'
        | 'wake_denied'
        | 'url_sandbox_transitioning'
        | 'url_too_many_sandboxes'
        | 'url_machine_full'
        | 'url_wake_failed';
      readonly sandboxId: string;
    }
  | { readonly code: 'port_closed'; readonly sandboxId: string; readonly port: number }
  | { readonly code: 'too_many_connections' | 'too_many_requests'; readonly sandboxId: string; readonly limit: number }
  | { readonly code: 'too_many_client_connections' | 'body_too_large'; readonly limit: number }
  | { readonly code: 'reserved_path'; readonly path: string }
  | {
      readonly code:
        | 'malformed_request'
        | 'request_timeout'
        | 'header_too_large'
        | 'uri_too_long'
        | 'not_implemented'
        | 'api_unavailable'
        | 'shutting_down';
    };

/** What is answered where nothing was refused. */
export type Reply =
  | Refusal
  /** To the same host, or the same address with HTTPS, with the cookie that opens it where the browser needs one. */
  | { readonly location: string; readonly cookie?: string; readonly permanent?: true }
  /** The token was right: the cookie that stands for it from now on. */
  | { readonly signedIn: string }
  /** Of the worker, to a load balancer. */
  | { readonly healthy: true };

export interface Answer {
  readonly status: number;
  readonly contentType: string;
  readonly body: string;
  /** Besides the type, the length and what follows from the connection. */
  readonly headers: readonly (readonly [name: string, value: string])[];
}

const TEXT = 'text/plain; charset=utf-8';
const JSON_TYPE = 'application/json; charset=utf-8';
const HTML = 'text/html; charset=utf-8';

const TOKEN_PREFIX = 'Sandbox is secured with traffic access token. ';

/** Of answers that are for one person only, and of which nothing is to stay anywhere. */
const PERSONAL = [
  ['Cache-Control', 'no-store'],
  ['Referrer-Policy', 'no-referrer'],
] as const;

/** What is likely to be over in a moment. */
const PASSING: ReadonlySet<ErrorCode> = new Set([
  'port_closed',
  'sandbox_waking',
  'url_sandbox_transitioning',
  'api_unavailable',
  'too_many_requests',
]);

/** Of these a browser shows a page that waits, and becomes the app. */
const WAITED_FOR: ReadonlySet<ErrorCode> = new Set(['port_closed', 'sandbox_waking', 'url_sandbox_transitioning']);
/** For parts of such a page: browsers and what stands before them may ask again, and take nothing for the app's own. */
const UNAVAILABLE = 503;

/**
 * The answer that the gateway gives itself.
 *
 * @param request what is known of it; undefined when its head could not be read
 */
export function answerFor(reply: Reply, request: RequestFacts | undefined): Answer {
  if ('location' in reply) {
    const cookie = reply.cookie === undefined ? [] : [['Set-Cookie', reply.cookie] as const];
    return {
      status: reply.permanent ? 308 : 303,
      contentType: TEXT,
      body: '',
      headers: [['Location', reply.location], ...cookie, ...PERSONAL],
    };
  }
  if ('healthy' in reply)
    return { status: 200, contentType: TEXT, body: 'ok\n', headers: [['Cache-Control', 'no-store']] };
  if ('signedIn' in reply) {
    return { status: 200, contentType: JSON_TYPE, body: '{}', headers: [['Set-Cookie', reply.signedIn], ...PERSONAL] };
  }
  const isPart = WAITED_FOR.has(reply.code) && request !== undefined && isAsset(request);
  const status = isPart ? UNAVAILABLE : errorTable[reply.code].status;
  const headers: [string, string][] = [[ERROR_HEADER, reply.code]];
  if (PASSING.has(reply.code)) headers.push(['Retry-After', '1']);
  const text = textOf(reply);
  if (request !== undefined && wantsHtml(request) && (text === undefined || saysHtml(request))) {
    const page = pageFor(reply);
    if (page !== undefined)
      return { status, contentType: HTML, body: page.html, headers: [...headers, ...page.headers] };
  }
  if (text !== undefined) return { status, contentType: TEXT, body: `${text}\n`, headers };
  return { status, contentType: JSON_TYPE, body: JSON.stringify(jsonOf(reply, status)), headers };
}

/** Where the clients' own server has text for all, a program that calls itself a browser gets text too. */
function saysHtml(request: RequestFacts): boolean {
  return request.header('accept')?.includes('text/html') === true;
}

function textOf(refusal: Refusal): string | undefined {
  switch (refusal.code) {
    case 'invalid_host':
      return refusal.reason === 'sandbox-id' ? 'Invalid sandbox ID' : 'Invalid host';
    case 'invalid_sandbox_port':
      return 'Invalid sandbox port';
    case 'missing_routing_header':
      return 'missing header';
    case 'upstream_failed':
      return 'Failed to route request to sandbox';
    default:
      return undefined;
  }
}

/** The keys stand in the order in which the clients' own server writes them. */
function jsonOf(refusal: Refusal, code: number): object {
  switch (refusal.code) {
    case 'url_sandbox_not_found':
    case 'url_sandbox_paused':
      return { sandboxId: refusal.sandboxId, message: 'The sandbox was not found', code };
    case 'port_closed': {
      const { sandboxId, port } = refusal;
      return { sandboxId, message: 'The sandbox is running but port is not open', port, code };
    }
    case 'traffic_token_missing': {
      const message = `${TOKEN_PREFIX}Token header 'e2b-traffic-access-token' is missing`;
      return { sandboxId: refusal.sandboxId, message, code };
    }
    case 'traffic_token_invalid': {
      const message = `${TOKEN_PREFIX}Provided token in header 'e2b-traffic-access-token' is invalid`;
      return { sandboxId: refusal.sandboxId, message, code };
    }
    case 'signed_url_invalid': {
      const message = `${TOKEN_PREFIX}Provided access in the URL is invalid, has expired or was revoked`;
      return { sandboxId: refusal.sandboxId, message, code };
    }
    case 'wake_denied': {
      const message =
        "This sandbox can't be resumed with the credentials provided. Check your access token and try again.";
      return { sandboxId: refusal.sandboxId, message, code };
    }
    case 'sandbox_waking':
      return { sandboxId: refusal.sandboxId, message: 'The sandbox is waking up. Try again in a moment.', code };
    case 'url_sandbox_transitioning': {
      const message = 'The sandbox is still transitioning. Try again in a moment.';
      return { sandboxId: refusal.sandboxId, message, code };
    }
    case 'url_too_many_sandboxes':
      return { sandboxId: refusal.sandboxId, message: 'Sandbox limit reached', code };
    case 'url_machine_full':
      return { sandboxId: refusal.sandboxId, message: 'The machine has no room for the sandbox', code };
    case 'url_wake_failed':
      return { sandboxId: refusal.sandboxId, message: 'The sandbox could not be resumed', code };
    case 'too_many_connections': {
      const { sandboxId, limit } = refusal;
      const message = `The sandbox has too many concurrent incoming connections (limit: ${limit})`;
      return { sandboxId, message, code, connectionLimit: limit };
    }
    case 'too_many_requests': {
      const { sandboxId, limit } = refusal;
      const message = `The sandbox gets too many requests (limit: ${limit} a second)`;
      return { sandboxId, message, code, requestLimit: limit };
    }
    case 'too_many_client_connections': {
      const { limit } = refusal;
      const message = `There are too many connections from your address (limit: ${limit})`;
      return { message, code, connectionLimit: limit };
    }
    case 'body_too_large': {
      const { limit } = refusal;
      return { message: `The body of the request is too large (limit: ${limit} bytes)`, code, bodyLimit: limit };
    }
    case 'reserved_path': {
      const message =
        'This endpoint is reserved for the E2B control plane and is not reachable through the sandbox URL';
      return { message, path: refusal.path, code };
    }
    default:
      return protocolError(refusal.code);
  }
}

function protocolError(code: ErrorCode): object {
  return new SandportError(code, errorTable[code].hint).toBody();
}
