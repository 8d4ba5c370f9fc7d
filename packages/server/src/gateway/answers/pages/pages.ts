// What a person reads who opens a URL that cannot be served: what happened, and what they can do.

import { errorTable } from '@sandport/protocol/errors';
import type { Refusal } from '../refusal.ts';
import { escapeHtml, type Page, renderPage } from './layout.ts';

/** The page for a refusal; undefined where a page would help nobody. */
export function pageFor(refusal: Refusal): string | undefined {
  const content = contentOf(refusal);
  return content && renderPage({ status: errorTable[refusal.code].status, ...content });
}

function contentOf(refusal: Refusal): Omit<Page, 'status'> | undefined {
  switch (refusal.code) {
    case 'url_sandbox_not_found':
      return {
        title: 'Sandbox Not Found',
        paragraphs: [
          'There is no running sandbox at this address. It has ended, or the address has a typing error in it.',
          'Ask whoever sent you the link for a new one.',
        ],
        facts: [['Sandbox', refusal.sandboxId]],
      };
    case 'port_closed':
      return {
        title: 'Closed Port Error',
        paragraphs: [
          `The sandbox is running, but there is <strong>no service running on port ${refusal.port}</strong>.`,
          'If a server is just being started, load the page again in a moment.',
        ],
        facts: [
          ['Sandbox', refusal.sandboxId],
          ['Port', String(refusal.port)],
        ],
      };
    case 'traffic_token_missing':
      return {
        title: 'Missing Traffic Access Token',
        paragraphs: [
          'This sandbox does not answer the public.',
          'Requests need its token in the header <code>e2b-traffic-access-token</code>.',
        ],
        facts: [['Sandbox', refusal.sandboxId]],
      };
    case 'traffic_token_invalid':
      return {
        title: 'Invalid Traffic Access Token',
        paragraphs: [
          'This sandbox does not answer the public, and the token in the header <code>e2b-traffic-access-token</code> is not its own.',
        ],
        facts: [['Sandbox', refusal.sandboxId]],
      };
    case 'too_many_connections':
      return {
        title: 'Too Many Connections',
        paragraphs: [
          `The sandbox already has ${refusal.limit} open connections.`,
          'Close some of them, or try again later.',
        ],
        facts: [['Sandbox', refusal.sandboxId]],
      };
    case 'reserved_path':
      return {
        title: 'Endpoint Not Available',
        paragraphs: [
          `The path <code>${escapeHtml(refusal.path)}</code> belongs to the control plane and cannot be reached from outside.`,
        ],
        facts: [],
      };
    default:
      return undefined;
  }
}
