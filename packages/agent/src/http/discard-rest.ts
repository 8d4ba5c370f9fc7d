// What is left of a body that was refused.
import type { IncomingMessage } from 'node:http';

/** How long an upload that was refused may go on. */
const LINGER_MS = 2000;

/** To close the connection at once would take the answer away from a client that is still sending (RFC 9112, 9.6). */
export function discardRest(request: IncomingMessage): void {
  const timer = setTimeout(() => {
    // One that has come to its end has left its connection to the next request; not every such one says "close".
    if (!request.complete) request.destroy();
  }, LINGER_MS);
  const settle = (): void => clearTimeout(timer);
  request.once('end', settle).once('close', settle).resume();
}
