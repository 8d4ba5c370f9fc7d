// The errors of the client: the names that programs written for `e2b` catch, under one root.
import { type ErrorCode, SandportError } from '@sandport/protocol/errors';

export { SandportError };

export interface ClientErrorOptions extends ErrorOptions {
  /** Default: the code of the class. What a server answered with is kept, for its hint. */
  readonly code?: ErrorCode;
  /** HTTP status of the answer, when there was one. */
  readonly statusCode?: number;
}

/** Any failure of a sandbox operation. */
export class SandboxError extends SandportError {
  override name = 'SandboxError';
  /** HTTP status of the answer, when there was one. */
  readonly statusCode: number | undefined;

  constructor(message = '', options: ClientErrorOptions = {}) {
    super(options.code ?? 'client_error', message, options);
    this.statusCode = options.statusCode;
  }
}

/** Something took longer than allowed, or the sandbox was gone when it was asked. */
export class TimeoutError extends SandboxError {
  override name = 'TimeoutError';

  constructor(message: string, options: ClientErrorOptions = {}) {
    super(message, { code: 'timed_out', ...options });
  }
}

/** An argument or a request that cannot be right. */
export class InvalidArgumentError extends SandboxError {
  override name = 'InvalidArgumentError';

  constructor(message: string, options: ClientErrorOptions = {}) {
    super(message, { code: 'invalid_argument', ...options });
  }
}

/** The sandbox's disk is full. */
export class NotEnoughSpaceError extends SandboxError {
  override name = 'NotEnoughSpaceError';

  constructor(message: string, options: ClientErrorOptions = {}) {
    super(message, { code: 'not_enough_space', ...options });
  }
}

/** What was named does not exist. */
export class NotFoundError extends SandboxError {
  override name = 'NotFoundError';
}

/** No such file or directory in the sandbox. */
export class FileNotFoundError extends NotFoundError {
  override name = 'FileNotFoundError';

  constructor(message: string, options: ClientErrorOptions = {}) {
    super(message, { code: 'file_not_found', ...options });
  }
}

/** No such sandbox: killed, ended, or never there. */
export class SandboxNotFoundError extends NotFoundError {
  override name = 'SandboxNotFoundError';

  constructor(message: string, options: ClientErrorOptions = {}) {
    super(message, { code: 'sandbox_not_found', ...options });
  }
}

/** A limit of the server on requests or sandboxes. */
export class RateLimitError extends SandboxError {
  override name = 'RateLimitError';

  constructor(message: string, options: ClientErrorOptions = {}) {
    super(message, { code: 'rate_limited', ...options });
  }
}

/** The template cannot be used. */
export class TemplateError extends SandboxError {
  override name = 'TemplateError';

  constructor(message: string, options: ClientErrorOptions = {}) {
    super(message, { code: 'template_not_found', ...options });
  }
}

/** No API key, or one that the server does not know. No SandboxError, as in `e2b`: programs tell the two apart. */
export class AuthenticationError extends SandportError {
  override name = 'AuthenticationError';
  readonly statusCode: number | undefined;

  constructor(message: string, options: ClientErrorOptions = {}) {
    super(options.code ?? 'unauthorized', message, options);
    this.statusCode = options.statusCode;
  }
}

/** The server can take no more for now (503), and has changed nothing. No SandboxError, as in `e2b`. */
export class ServiceBusyError extends SandportError {
  override name = 'ServiceBusyError';
  readonly statusCode = 503;

  constructor(message: string, options: ClientErrorOptions = {}) {
    super(options.code ?? 'capacity_exhausted', message, options);
  }
}
