import type { RequestFacts } from '../routing/request-facts.ts';

const BROWSER = /mozilla|chrome|safari|firefox|edge|opera|msie/i;

/** Whether a person in a browser will read the answer, rather than a program. */
export function wantsHtml(request: RequestFacts): boolean {
  const accept = request.header('accept') ?? '';
  if (accept.includes('application/json') && !accept.includes('text/html')) return false;
  const mode = request.header('sec-fetch-mode');
  if (mode === 'cors' || mode === 'no-cors' || mode === 'same-origin' || mode === 'websocket') return false;
  if (mode !== 'navigate' && (request.header('x-requested-with') ?? '') !== '') return false;
  return BROWSER.test(request.header('user-agent') ?? '');
}
