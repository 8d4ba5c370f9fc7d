// What a person reads who opens a URL that cannot be served: what happened, and what they can do.

import { errorTable } from '@sandport/protocol/errors';
import type { Refusal } from '../refusal.ts';
import { escapeHtml, type Page, type RenderedPage, renderPage } from './layout.ts';
import { signIn, waiting } from './scripts.ts';

/** The page for a refusal; undefined where a page would help nobody. */
export function pageFor(refusal: Refusal): RenderedPage | undefined {
  const content = contentOf(refusal);
  return content && renderPage({ status: errorTable[refusal.code].status, ...content });
}

function contentOf(refusal: Refusal): Omit<Page, 'status'> | undefined {
  switch (refusal.code) {
    case 'invalid_host':
    case 'invalid_sandbox_port':
      return {
        title: 'Invalid host',
        heading: 'This address names no sandbox',
        paragraphs: [
          'An address is made of a port, the ID of a sandbox and the domain, such as <code>3000-i62mff4ahtrdfdkyn2esc.example.com</code>.',
          'Look for a typing error, or ask whoever sent you the link for a new one.',
        ],
        facts: [],
      };
    case 'url_sandbox_not_found':
      return {
        title: 'Sandbox Not Found',
        heading: 'This sandbox is not there',
        paragraphs: [
          'There is no running sandbox at this address. It has ended, or the address has a typing error in it.',
          'Ask whoever sent you the link for a new one.',
        ],
        facts: [['Sandbox', refusal.sandboxId]],
      };
    case 'port_closed':
      return {
        title: 'Closed Port Error',
        heading: 'The app is not there yet',
        paragraphs: [
          `The sandbox is running, but there is <strong>no service running on port ${refusal.port}</strong>.`,
          'This page opens the app by itself as soon as it answers.',
        ],
        facts: [
          ['Sandbox', refusal.sandboxId],
          ['Port', String(refusal.port)],
        ],
        script: waiting,
      };
    case 'sandbox_waking':
    case 'url_sandbox_transitioning':
      return {
        title: refusal.code === 'sandbox_waking' ? 'Sandbox Waking' : 'Sandbox Still Transitioning',
        heading: 'The sandbox is waking up',
        paragraphs: [
          'It was paused while nobody used it, and is being brought back with everything that ran in it.',
          'This page opens the app by itself as soon as it answers.',
        ],
        facts: [['Sandbox', refusal.sandboxId]],
        script: waiting,
      };
    case 'url_sandbox_paused':
      return {
        title: 'Sandbox Not Found',
        heading: 'The sandbox is paused',
        paragraphs: [
          'It is kept as it was, and nothing of it runs. Opening its address does not wake it.',
          'Ask whoever sent you the link to resume it.',
        ],
        facts: [['Sandbox', refusal.sandboxId]],
      };
    case 'url_wake_failed':
      return {
        title: 'Unable to Resume Sandbox',
        heading: 'The sandbox could not be woken',
        paragraphs: ['It stays paused as it was.', 'Try again later, or tell whoever sent you the link.'],
        facts: [['Sandbox', refusal.sandboxId]],
      };
    case 'wake_denied':
      return {
        title: 'Unable to Resume Sandbox',
        heading: 'The sandbox is paused',
        paragraphs: ['Only requests with its access token wake it at this address.'],
        facts: [['Sandbox', refusal.sandboxId]],
      };
    case 'url_too_many_sandboxes':
      return {
        title: 'Sandbox Limit Reached',
        heading: 'There is no room to wake the sandbox',
        paragraphs: ['It is paused, and as many sandboxes run as may. Try again when another one has ended.'],
        facts: [['Sandbox', refusal.sandboxId]],
      };
    case 'url_machine_full':
      return {
        title: 'Machine Full',
        heading: 'There is no room to wake the sandbox',
        paragraphs: ['It is paused, and the machine that it runs on is full. Try again later.'],
        facts: [['Sandbox', refusal.sandboxId]],
      };
    case 'traffic_token_missing':
      return privatePage('Missing Traffic Access Token', 'This app is private', refusal);
    case 'traffic_token_invalid':
      return privatePage('Invalid Traffic Access Token', 'This app is private', refusal);
    case 'signed_url_invalid':
      return privatePage('Invalid Traffic Access Token', 'This link is no longer valid', { ...refusal, signIn: true });
    case 'too_many_connections':
      return {
        title: 'Too Many Connections',
        heading: 'Too many connections',
        paragraphs: [
          `The sandbox already has ${refusal.limit} open connections.`,
          'Close some of them, or try again later.',
        ],
        facts: [['Sandbox', refusal.sandboxId]],
      };
    case 'too_many_client_connections':
      return {
        title: 'Too Many Connections',
        heading: 'Too many connections from here',
        paragraphs: [
          `Your address already has ${refusal.limit} open connections.`,
          'Close some of them, or try again later.',
        ],
        facts: [],
      };
    case 'too_many_requests':
      return {
        title: 'Too Many Requests',
        heading: 'The app gets too many requests',
        paragraphs: [`It answers ${refusal.limit} a second. Try again in a moment.`],
        facts: [['Sandbox', refusal.sandboxId]],
      };
    case 'upstream_failed':
      return {
        title: 'Bad Gateway',
        heading: 'The app broke off',
        paragraphs: ['Failed to route request to sandbox: the app ended the connection, or does not speak HTTP.'],
        facts: [],
      };
    case 'reserved_path':
      return {
        title: 'Endpoint Not Available',
        heading: 'Nothing to see here',
        paragraphs: [
          `The path <code>${escapeHtml(refusal.path)}</code> belongs to the control plane and cannot be reached from outside.`,
        ],
        facts: [],
      };
    default:
      return undefined;
  }
}

function privatePage(
  title: string,
  heading: string,
  refusal: { readonly sandboxId: string; readonly signIn: boolean },
): Omit<Page, 'status'> {
  const ended = heading === 'This link is no longer valid';
  return {
    title,
    heading,
    paragraphs: [
      ended
        ? 'It has expired or was taken back. Ask whoever sent it to you for a new one, or open the app with its token.'
        : 'It opens with a link that its owner sends you, or with the access token of its sandbox.',
      ...(refusal.signIn ? [] : ['Requests need the token in the header <code>e2b-traffic-access-token</code>.']),
    ],
    facts: [['Sandbox', refusal.sandboxId]],
    ...(refusal.signIn && { script: signIn }),
  };
}
