// One HTTP request with the failures of the network as errors of ours.
import { SandboxError, TimeoutError } from './errors.ts';

/**
 * Sends a request and returns when the answer's head is there.
 *
 * @throws TimeoutError when `init.signal` ran out of time, the signal's own reason when the caller aborted, and a
 *   SandboxError with the code `connection_failed` when the server was not reached
 */
export async function request(url: string, init: RequestInit): Promise<Response> {
  try {
    return await fetch(url, init);
  } catch (error) {
    throw requestFailure(error, init.signal ?? undefined, `${origin(url)} cannot be reached`);
  }
}

/** Reads an answer's whole body. Throws as `request` does. */
export async function readText(response: Response, signal: AbortSignal | undefined): Promise<string> {
  try {
    return await response.text();
  } catch (error) {
    throw requestFailure(error, signal, 'the answer was cut short');
  }
}

/** Reads what has to be JSON. Throws a SandboxError when something else answered, such as a proxy between. */
export function parseJson<T>(text: string, statusCode: number): T {
  try {
    return JSON.parse(text) as T;
  } catch (error) {
    throw new SandboxError(`the answer is not JSON: "${text.slice(0, 60)}"`, { statusCode, cause: error });
  }
}

export function requestFailure(error: unknown, signal: AbortSignal | undefined, message: string): unknown {
  const reason: unknown = signal?.aborted ? signal.reason : undefined;
  if (reason instanceof DOMException && reason.name === 'TimeoutError') {
    return new TimeoutError('the request took longer than requestTimeoutMs', { cause: error });
  }
  if (reason !== undefined) return reason;
  return new SandboxError(`${message}: ${innermost(error)}`, { code: 'connection_failed', cause: error });
}

/** What fetch failed of is in the cause of its error: "fetch failed" alone helps nobody. */
function innermost(error: unknown): string {
  let deepest = error;
  while (deepest instanceof Error && deepest.cause instanceof Error) deepest = deepest.cause;
  // A refusal at each of several addresses comes as an AggregateError without a message.
  if (deepest instanceof AggregateError && deepest.message === '') deepest = deepest.errors[0];
  return deepest instanceof Error ? deepest.message : String(deepest);
}

function origin(url: string): string {
  return URL.canParse(url) ? new URL(url).origin : url;
}
