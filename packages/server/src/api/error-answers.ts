// Every failure of the API leaves through here, in the one form that clients read: {code, message, error_code}.
import { type ErrorCode, SandportError } from '@sandport/protocol/errors';
import type { FastifyError, FastifyInstance } from 'fastify';
import { isDiskFull } from '../store/database.ts';

/** Fastify's own errors, by their code. */
const fastifyErrors: Readonly<Record<string, ErrorCode>> = {
  FST_ERR_CTP_INVALID_JSON_BODY: 'invalid_json',
  FST_ERR_CTP_EMPTY_JSON_BODY: 'invalid_json',
  FST_ERR_CTP_BODY_TOO_LARGE: 'body_too_large',
  FST_ERR_CTP_INVALID_MEDIA_TYPE: 'unsupported_media_type',
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: 'bad_request',
};

export function answerErrors(app: FastifyInstance): void {
  app.setErrorHandler((error: FastifyError, request, reply) => {
    const known = toSandportError(error);
    if (known.status >= 500) {
      request.log.error(
        { err: error, cause: error.cause, method: request.method, route: request.routeOptions.url },
        'request failed',
      );
    }
    return reply.status(known.status).send(known.toBody());
  });
  app.setNotFoundHandler((request, reply) => {
    const error = new SandportError(
      'route_not_found',
      `no such route: ${request.method} ${request.url.split('?')[0]!.slice(0, 200)}`,
    );
    return reply.status(error.status).send(error.toBody());
  });
}

function toSandportError(error: FastifyError): SandportError {
  if (error instanceof SandportError) return error;
  if (isDiskFull(error) || error.code === 'ENOSPC')
    return new SandportError('capacity_exhausted', 'the machine is full: its disk is', { cause: error });
  if (error.validation !== undefined) {
    return new SandportError('validation_failed', `validation error: ${validationText(error)}`, { cause: error });
  }
  const code = fastifyErrors[error.code];
  if (code !== undefined) return new SandportError(code, error.message, { cause: error });
  // The JSON parser's refusal of __proto__ keys and the like carries a status and no code of Fastify's.
  if (error.statusCode !== undefined && error.statusCode >= 400 && error.statusCode < 500) {
    return new SandportError(error instanceof SyntaxError ? 'invalid_json' : 'bad_request', error.message, {
      cause: error,
    });
  }
  return new SandportError('internal_error', 'an internal error occurred', { cause: error });
}

/** With the name of an option that there is not, which the validator's own text leaves out. */
function validationText({ message, validation, validationContext }: FastifyError): string {
  const [first] = validation ?? [];
  const unknown = first?.keyword === 'additionalProperties' ? first.params.additionalProperty : undefined;
  if (first === undefined || typeof unknown !== 'string') return message;
  return `${validationContext}${first.instancePath} has no option "${unknown.slice(0, 64)}"`;
}
