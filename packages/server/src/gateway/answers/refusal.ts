// Why the gateway answers a request itself, and the answer as the official clients expect it.

import { type ErrorCode, errorTable, SandportError } from '@sandport/protocol/errors';
import type { RequestFacts } from '../routing/request-facts.ts';
import { pageFor } from './pages/pages.ts';
import { wantsHtml } from './wants-html.ts';

export type Refusal =
  | { readonly code: 'invalid_host'; readonly reason: 'host' | 'sandbox-id' }
  | { readonly code: 'invalid_sandbox_port' | 'missing_routing_header' | 'upstream_failed' }
  | {
      readonly code:
        | 'url_sandbox_not_found'
        | 'traffic_token_missing'
        | 'traffic_token_invalid'
        | 'wake_denied'
        | 'url_sandbox_transitioning'
        | 'url_too_many_sandboxes'
        | 'url_wake_failed';
      readonly sandboxId: string;
    }
  | { readonly code: 'port_closed'; readonly sandboxId: string; readonly port: number }
  | { readonly code: 'too_many_connections'; readonly sandboxId: string; readonly limit: number }
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

export interface Answer {
  readonly status: number;
  readonly contentType: string;
  readonly body: string;
}

const TEXT = 'text/plain; charset=utf-8';
const JSON_TYPE = 'application/json; charset=utf-8';
const HTML = 'text/html; charset=utf-8';

const TOKEN_PREFIX = 'Sandbox is secured with traffic access token. ';

/**
 * The answer to a refused request.
 *
 * @param request what is known of it; undefined when its head could not be read
 */
export function answerFor(refusal: Refusal, request: RequestFacts | undefined): Answer {
  const { status } = errorTable[refusal.code];
  const text = textOf(refusal);
  if (text !== undefined) return { status, contentType: TEXT, body: `${text}\n` };
  if (request !== undefined && wantsHtml(request)) {
    const body = pageFor(refusal);
    if (body !== undefined) return { status, contentType: HTML, body };
  }
  return { status, contentType: JSON_TYPE, body: JSON.stringify(jsonOf(refusal, status)) };
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
    case 'wake_denied': {
      const message =
        "This sandbox can't be resumed with the credentials provided. Check your access token and try again.";
      return { sandboxId: refusal.sandboxId, message, code };
    }
    case 'url_sandbox_transitioning': {
      const message = 'The sandbox is still transitioning. Try again in a moment.';
      return { sandboxId: refusal.sandboxId, message, code };
    }
    case 'url_too_many_sandboxes':
      return { sandboxId: refusal.sandboxId, message: 'Sandbox limit reached', code };
    case 'url_wake_failed':
      return { sandboxId: refusal.sandboxId, message: 'The sandbox could not be resumed', code };
    case 'too_many_connections': {
      const { sandboxId, limit } = refusal;
      const message = `The sandbox has too many concurrent incoming connections (limit: ${limit})`;
      return { sandboxId, message, code, connectionLimit: limit };
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
