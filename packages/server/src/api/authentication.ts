// API keys on requests: the header `X-API-Key`, as the official clients send it.
import { SandportError } from '@sandport/protocol/errors';
import type { onRequestAsyncHookHandler } from 'fastify';

export function requireApiKey(identify: (key: string) => string | undefined): onRequestAsyncHookHandler {
  return async (request) => {
    // Prometheus has a setting for the second form only.
    const key = request.headers['x-api-key'] ?? request.headers.authorization?.replace(/^Bearer /i, '');
    if (typeof key !== 'string' || key === '') {
      throw new SandportError('unauthorized', 'no API key: send it in the header X-API-Key');
    }
    if (identify(key) === undefined) throw new SandportError('unauthorized', 'the API key is not valid');
  };
}
