// What an error answer of a sandbox's agent, or of the gateway in front of it, means.
import { type ConnectErrorBody, connectCodes } from '@sandport/protocol/connect';
import type { SandportError } from '@sandport/protocol/errors';
import {
  AuthenticationError,
  type ClientErrorOptions,
  InvalidArgumentError,
  NotEnoughSpaceError,
  NotFoundError,
  RateLimitError,
  SandboxError,
  SandboxNotFoundError,
  TimeoutError,
} from './errors.ts';

/** The gateway's answer for a sandbox, or an agent, that is not there. */
export const GONE_STATUS = 502;
const ENDED = 'it was killed or has reached its end time, which timeoutMs and setTimeout move';

/**
 * An answer with a status of 400 or more: Connect errors have a string as code, the gateway's and plain ones a number.
 *
 * @param start whether the call was to start something: then a sandbox that is not there is one not found, else one that
 *   has ended meanwhile; as with `e2b`
 */
export function agentError(statusCode: number, text: string, start: boolean): SandportError {
  const body = readBody(text);
  if (isConnectError(body)) return connectError(body, { statusCode });
  const message = typeof body.message === 'string' ? body.message : `the agent answered with status ${statusCode}`;
  switch (statusCode) {
    case 400:
      return new InvalidArgumentError(message, { statusCode });
    case 401:
      return new AuthenticationError(message, { statusCode });
    case 404:
      return new NotFoundError(message, { statusCode });
    case 429:
      return new RateLimitError(message, { statusCode });
    case GONE_STATUS:
      return start
        ? new SandboxNotFoundError(`${message}: ${ENDED}`, { statusCode })
        : new TimeoutError(`${message}: ${ENDED}`, { statusCode, code: 'sandbox_not_found' });
    case 507:
      return new NotEnoughSpaceError(message, { statusCode });
    default:
      return new SandboxError(`${statusCode}: ${message}`, { statusCode });
  }
}

/** The error of a unary answer, or of the last frame of a stream. */
export function connectError({ code, message }: ConnectErrorBody, options: ClientErrorOptions = {}): SandportError {
  switch (code) {
    case 'invalid_argument':
      return new InvalidArgumentError(message, options);
    case 'unauthenticated':
      return new AuthenticationError(message, options);
    case 'not_found':
      return new NotFoundError(message, options);
    case 'resource_exhausted':
      return new RateLimitError(message, options);
    case 'deadline_exceeded':
      return new TimeoutError(`it took longer than timeoutMs: ${message}`, options);
    case 'unavailable':
    case 'canceled':
      return new TimeoutError(message, options);
    default:
      return new SandboxError(`${code}: ${message}`, options);
  }
}

export function isConnectError(body: { code?: unknown; message?: unknown }): body is ConnectErrorBody {
  return typeof body.code === 'string' && Object.hasOwn(connectCodes, body.code);
}

function readBody(text: string): { code?: unknown; message?: unknown } {
  try {
    const body: unknown = JSON.parse(text);
    return typeof body === 'object' && body !== null ? body : {};
  } catch {
    return {};
  }
}
