// Whether a browser sends a request on behalf of a page that has nothing to do with the sandbox. Its cookie does not
// count then: pages of other sandboxes are "same-site", and would have it sent.

import type { RequestFacts } from '../routing/request-facts.ts';

export function isFromElsewhere(request: RequestFacts, sandboxId: string): boolean {
  const site = request.header('sec-fetch-site');
  if (site === 'same-origin' || site === 'none') return false;
  // Following a link, or showing the port in a frame; what is shown stays out of reach of the other page.
  if (request.header('sec-fetch-mode') === 'navigate' && (request.method === 'GET' || request.method === 'HEAD')) {
    return false;
  }
  const page = request.header('origin') ?? (site === undefined ? undefined : request.header('referer'));
  return page === undefined ? site !== undefined : !isPageOf(sandboxId, page, request.host);
}

/**
 * Whether a page is at a port of this sandbox, under the same domain as the request.
 *
 * @param page URL or origin
 */
function isPageOf(sandboxId: string, page: string, host: string): boolean {
  const authority = /^https?:\/\/([^/?#\\]+)/i.exec(page)?.[1]?.toLowerCase();
  const dot = authority?.indexOf('.') ?? -1;
  if (authority === undefined || dot === -1) return false;
  const domain = host.toLowerCase();
  return (
    authority.slice(dot) === domain.slice(domain.indexOf('.')) && authority.slice(0, dot).split('-')[1] === sandboxId
  );
}
