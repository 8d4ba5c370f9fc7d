// One delivery: a POST to an address that was looked at, bounded in time and in what is read of the answer.
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { isIP } from 'node:net';
import type { WebhookAddresses } from './webhook-address.ts';

/** For all of it: looking up the host, connecting, and the answer's status. */
const TIMEOUT_MS = 10_000;

/** Resolves when the receiver has answered with 2xx. Throws an Error that says why not; nothing secret is in it. */
export async function postWebhook(
  url: string,
  options: {
    readonly headers: Readonly<Record<string, string>>;
    readonly body: string;
    readonly addresses: WebhookAddresses;
    readonly signal: AbortSignal;
    readonly timeoutMs?: number;
  },
): Promise<void> {
  const { headers, body, addresses, timeoutMs = TIMEOUT_MS } = options;
  const target = new URL(url);
  const signal = AbortSignal.any([options.signal, AbortSignal.timeout(timeoutMs)]);
  const address = await addresses.find(target.hostname, signal);
  if (address === undefined) throw new Error('its host has no address that webhooks may lead to');
  const send = target.protocol === 'https:' ? httpsRequest : httpRequest;
  const status = await new Promise<number>((resolve, reject) => {
    const request = send(
      target,
      {
        method: 'POST',
        headers: { ...headers, 'content-length': Buffer.byteLength(body) },
        signal,
        agent: false,
        // What was looked up is what is connected to: a second look-up could give another address.
        lookup: (_name, { all }, callback) =>
          all ? callback(null, [{ address, family: isIP(address) }]) : callback(null, address, isIP(address)),
      },
      (response: IncomingMessage) => {
        resolve(response.statusCode ?? 0);
        // The body says nothing that is needed.
        response.destroy();
      },
    );
    request.on('error', reject);
    request.end(body);
  });
  if (status < 200 || status > 299) throw new Error(`it answered with status ${status}`);
}
