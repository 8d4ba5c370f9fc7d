// Pages of any origin may call the agent: what protects it is the token, not the origin.
import type { IncomingMessage, ServerResponse } from 'node:http';

const EXPOSED = [
  'Connect-Protocol-Version',
  'Connect-Timeout-Ms',
  'Connect-Content-Encoding',
  'Connect-Accept-Encoding',
  'Grpc-Status',
  'Grpc-Message',
  'Grpc-Status-Details-Bin',
  'Location',
  'Cache-Control',
  'X-Content-Type-Options',
].join(', ');

const METHODS = 'HEAD, GET, POST, PUT, PATCH, DELETE';

/** Adds the CORS headers of an answer; answers a preflight itself and returns true. */
export function applyCors(request: IncomingMessage, response: ServerResponse): boolean {
  const { origin } = request.headers;
  if (origin === undefined) return false;
  response.setHeader('access-control-allow-origin', '*');
  const method = request.headers['access-control-request-method'];
  if (request.method !== 'OPTIONS' || method === undefined) {
    response.setHeader('access-control-expose-headers', EXPOSED);
    return false;
  }
  response.writeHead(204, {
    'access-control-allow-methods': METHODS,
    // Echoed, because `*` does not cover Authorization (Fetch standard, CORS-preflight fetch).
    'access-control-allow-headers': request.headers['access-control-request-headers'] ?? '*',
    'access-control-max-age': '7200',
    vary: 'Access-Control-Request-Method, Access-Control-Request-Headers',
  });
  response.end();
  return true;
}
