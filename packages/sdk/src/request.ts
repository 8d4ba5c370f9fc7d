// One HTTP request with the failures of the network as errors of ours.
import { SandboxError, TimeoutError } from './errors.ts';

/** Throws a TimeoutError when `init.signal` ran out of time, the caller's own reason when it aborted. */
export async function request(url: string, init: RequestInit): Promise<Response> {
  try {
    return await fetch(url, init);
  } catch (error) {
    throw requestFailure(error, init.signal ?? undefined);
  }
}

export function requestFailure(error: unknown, signal: AbortSignal | undefined): unknown {
  const reason: unknown = signal?.aborted ? signal.reason : undefined;
  if (reason instanceof DOMException && reason.name === 'TimeoutError') {
    return new TimeoutError('the request took longer than requestTimeoutMs', { cause: error });
  }
  if (reason !== undefined) return reason;
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause.message : String(error);
  return new SandboxError(`the server cannot be reached: ${cause}`, { code: 'connection_failed', cause: error });
}
