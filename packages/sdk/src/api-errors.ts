// What an error answer of the API means: {code, message, error_code}.
import { type ErrorCode, errorTable, type SandportError } from '@sandport/protocol/errors';
import {
  AuthenticationError,
  InvalidArgumentError,
  NotFoundError,
  RateLimitError,
  SandboxError,
  SandboxNotFoundError,
  ServiceBusyError,
  TemplateError,
} from './errors.ts';

/** Routes below this answer 404 for the sandbox that they name. */
const ONE_SANDBOX = /^\/(?:v2\/)?sandboxes\/[^/?]+/;

interface ErrorAnswer {
  readonly message?: unknown;
  readonly error_code?: unknown;
}

/** @param text the body, which comes from anywhere when a proxy answered */
export function apiError(path: string, statusCode: number, text: string): SandportError {
  const answer = readAnswer(text);
  const code = knownCode(answer.error_code);
  const said = typeof answer.message === 'string' ? answer.message : `the API answered with status ${statusCode}`;
  const options = { statusCode, ...(code !== undefined && { code }) };
  switch (statusCode) {
    case 400:
      return new InvalidArgumentError(said, options);
    case 401:
      return new AuthenticationError(said, options);
    case 404:
      if (code === 'template_not_found') return new TemplateError(said, options);
      // Other servers of this API name no error_code.
      if (code === 'sandbox_not_found' || (code === undefined && ONE_SANDBOX.test(path))) {
        return new SandboxNotFoundError(said, options);
      }
      return new NotFoundError(said, options);
    case 429:
      return new RateLimitError(said, options);
    case 503:
      return new ServiceBusyError(said, options);
    default:
      return new SandboxError(`${statusCode}: ${said}`, options);
  }
}

function readAnswer(text: string): ErrorAnswer {
  try {
    const answer: unknown = JSON.parse(text);
    return typeof answer === 'object' && answer !== null ? answer : {};
  } catch {
    return {};
  }
}

/** A newer server may have codes that this client does not know. */
function knownCode(code: unknown): ErrorCode | undefined {
  return typeof code === 'string' && Object.hasOwn(errorTable, code) ? (code as ErrorCode) : undefined;
}
