import type { RequestFacts } from '../routing/request-facts.ts';

const BROWSER = /mozilla|chrome|safari|firefox|edge|opera|msie/i;

/** Whether a person in a browser will read the answer, rather than a program. */
export function wantsHtml(request: RequestFacts): boolean {
  const accept = request.header('accept') ?? '';
  if (accept.includes('application/json') && !accept.includes('text/html')) return false;
  // What a browser asks for as a picture or a style, also where it does not say for what.
  if (accept !== '' && !accept.includes('text/html') && !accept.includes('*/*')) return false;
  if (accept.startsWith('image/') || accept.startsWith('text/css')) return false;
  const mode = request.header('sec-fetch-mode');
  if (mode === 'cors' || mode === 'no-cors' || mode === 'same-origin' || mode === 'websocket') return false;
  if (mode !== 'navigate' && (request.header('x-requested-with') ?? '') !== '') return false;
  return BROWSER.test(request.header('user-agent') ?? '');
}
