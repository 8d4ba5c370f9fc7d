// A request that was sent on, read back from the bytes that were sent: needed only when no answer comes.

import type { RequestFacts } from '../routing/request-facts.ts';
import { RequestHead } from './request-head.ts';

/** What an error answer needs to know of the request whose forwarded head is `sent`. */
export function factsOfSentRequest(sent: Buffer | undefined): RequestFacts | undefined {
  if (sent === undefined) return undefined;
  const head = new RequestHead();
  return head.read(sent, 0, sent.length) > 0 ? head : undefined;
}
