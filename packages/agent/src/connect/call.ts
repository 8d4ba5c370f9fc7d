// One RPC as its handler sees it, and the headers that shape it.
import type { IncomingMessage, ServerResponse } from 'node:http';
import { ConnectError } from './connect-error.ts';
import { DEFAULT_KEEPALIVE_SECONDS } from './limits.ts';

export interface Call {
  /** Milliseconds the client gives the call (Connect-Timeout-Ms); undefined means no limit. */
  readonly timeoutMs: number | undefined;
  readonly keepaliveMs: number;
  /** The Authorization header, whose user name selects the user of the sandbox. */
  readonly authorization: string | undefined;
  /** Calls back once when the client is gone or the answer is complete; at once when it already is. */
  onClose(callback: () => void): void;
}

/** @throws ConnectError when a header that shapes the call is malformed */
export function readCall(request: IncomingMessage, response: ServerResponse): Call {
  const version = request.headers['connect-protocol-version'];
  if (version !== undefined && version !== '1') {
    throw new ConnectError('invalid_argument', `Connect-Protocol-Version '${version}' is not 1`);
  }
  return {
    timeoutMs: readTimeout(request.headers['connect-timeout-ms']),
    keepaliveMs: readKeepalive(request.headers['keepalive-ping-interval']),
    authorization: request.headers.authorization,
    onClose(callback) {
      if (response.destroyed || response.writableFinished) callback();
      else response.once('close', callback);
    },
  };
}

/**
 * At most ten digits (Connect protocol, Timeout-Milliseconds), with a fraction from earlier Python clients; longer than a
 * timer can be is no limit.
 */
function readTimeout(header: string | string[] | undefined): number | undefined {
  if (header === undefined) return undefined;
  if (typeof header !== 'string' || !/^[0-9]{1,10}(\.[0-9]{1,16})?$/.test(header)) {
    throw new ConnectError('invalid_argument', `Connect-Timeout-Ms '${header}' is not a number of at most 10 digits`);
  }
  const timeout = Math.ceil(Number(header));
  return timeout > 0x7fff_ffff ? undefined : timeout;
}

/** A value that is no number of seconds is ignored: keepalives are a courtesy. */
function readKeepalive(header: string | string[] | undefined): number {
  const seconds = typeof header === 'string' && /^[0-9]{1,5}$/.test(header) ? Number(header) : 0;
  return (seconds > 0 ? seconds : DEFAULT_KEEPALIVE_SECONDS) * 1000;
}
