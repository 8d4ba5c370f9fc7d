// What the server is told of who asks: X-Forwarded-For, -Proto, -Port, -Host and Forwarded (RFC 7239). What clients say of
// themselves is dropped; what a trusted proxy says is passed on, with the proxy itself added.

import type { Arrival } from './context.ts';
import type { RequestFacts } from './routing/request-facts.ts';

/** The lines of a connection, without the host, which may differ by request. */
export function forwardedLines(address: string, scheme: 'http' | 'https', port: number): string {
  return (
    `X-Forwarded-For: ${address}\r\nX-Forwarded-Proto: ${scheme}\r\nX-Forwarded-Port: ${port}\r\n` +
    `Forwarded: ${element(address, scheme)}`
  );
}

/** The start of an element of Forwarded, up to the host, which goes between quotes. */
function element(address: string, scheme: string): string {
  return `for=${address.includes(':') ? `"[${address}]"` : address};proto=${scheme};host="`;
}

/** What goes between the host's two places, and after the last. */
export const FORWARDED_HOST = '"\r\nX-Forwarded-Host: ';

const HOST = /^[A-Za-z0-9_.:[\]-]{1,262}$/;
const LIST_BYTES = 4096;

/** Of a request from a trusted proxy. */
export function trustedForwarding(arrival: Arrival, request: RequestFacts): { lines: string; host: string } {
  const { address, port } = arrival;
  const scheme = publicScheme(arrival, request);
  const list = (name: string) => {
    const text = request.values(name).join(', ');
    return text === '' || text.length > LIST_BYTES ? '' : `${text}, `;
  };
  const portText = request.header('x-forwarded-port') ?? '';
  const host = request.header('x-forwarded-host') ?? '';
  const lines =
    `X-Forwarded-For: ${list('x-forwarded-for')}${address}\r\nX-Forwarded-Proto: ${scheme}\r\n` +
    `X-Forwarded-Port: ${/^[0-9]{1,5}$/.test(portText) ? portText : port}\r\n` +
    `Forwarded: ${list('forwarded')}${element(address, scheme)}`;
  return { lines, host: HOST.test(host) ? host : request.host };
}

/** The scheme that the client used, as far as the gateway can know. */
export function publicScheme(arrival: Arrival, request: RequestFacts): 'http' | 'https' {
  return (arrival.trusted ? trustedScheme(request) : undefined) ?? (arrival.secure ? 'https' : 'http');
}

/** The scheme that the client used towards a trusted proxy. */
function trustedScheme(request: RequestFacts): 'http' | 'https' | undefined {
  const scheme = request.header('x-forwarded-proto')?.toLowerCase();
  return scheme === 'http' || scheme === 'https' ? scheme : undefined;
}
