// The errors of the client: the names that programs written for `e2b` catch, under one root.
import { type ErrorCode, SandportError } from '@sandport/protocol/errors';

export { SandportError };

/** Any failure of a sandbox operation. */
export class SandboxError extends SandportError {
  override name = 'SandboxError';
  /** HTTP status of the answer, when there was one. */
  readonly statusCode: number | undefined;

  constructor(message: string, options: ErrorOptions & { code?: ErrorCode; statusCode?: number } = {}) {
    super(options.code ?? 'client_error', message, options);
    this.statusCode = options.statusCode;
  }
}

/** Something took longer than allowed, or the sandbox was gone when it was asked. */
export class TimeoutError extends SandboxError {
  override name = 'TimeoutError';

  constructor(message: string, options: ErrorOptions & { statusCode?: number } = {}) {
    super(message, { ...options, code: 'timed_out' });
  }
}

/** An argument or a request that cannot be right. */
export class InvalidArgumentError extends SandboxError {
  override name = 'InvalidArgumentError';

  constructor(message: string, options: ErrorOptions & { statusCode?: number } = {}) {
    super(message, { ...options, code: 'invalid_argument' });
  }
}

/** The sandbox's disk is full. */
export class NotEnoughSpaceError extends SandboxError {
  override name = 'NotEnoughSpaceError';

  constructor(message: string, options: ErrorOptions & { statusCode?: number } = {}) {
    super(message, { ...options, code: 'not_enough_space' });
  }
}

/** What was named does not exist. */
export class NotFoundError extends SandboxError {
  override name = 'NotFoundError';
}

/** No such sandbox: killed, ended, or never there. */
export class SandboxNotFoundError extends NotFoundError {
  override name = 'SandboxNotFoundError';

  constructor(message: string, options: ErrorOptions & { statusCode?: number } = {}) {
    super(message, { ...options, code: 'sandbox_not_found' });
  }
}

/** No API key, or one that the server does not know. */
export class AuthenticationError extends SandboxError {
  override name = 'AuthenticationError';

  constructor(message: string, options: ErrorOptions & { statusCode?: number } = {}) {
    super(message, { ...options, code: 'unauthorized' });
  }
}

/** A limit of the server on requests or sandboxes. */
export class RateLimitError extends SandboxError {
  override name = 'RateLimitError';

  constructor(message: string, options: ErrorOptions & { statusCode?: number } = {}) {
    super(message, { ...options, code: 'rate_limited' });
  }
}

/** The template cannot be used. */
export class TemplateError extends SandboxError {
  override name = 'TemplateError';

  constructor(message: string, options: ErrorOptions & { statusCode?: number } = {}) {
    super(message, { ...options, code: 'template_not_found' });
  }
}
