// API keys on requests: the header `X-API-Key`, as the official clients send it.
import { SandportError } from '@sandport/protocol/errors';
import type { onRequestAsyncHookHandler } from 'fastify';
import type { ApiKey } from '../store/api-keys.ts';

declare module 'fastify' {
  interface FastifyRequest {
    /** With which the request came; set on every route that asks for one. */
    apiKey: ApiKey;
  }
}

export function requireApiKey(identify: (key: string) => ApiKey | undefined): onRequestAsyncHookHandler {
  return async (request) => {
    // Prometheus has a setting for the second form only.
    const text = request.headers['x-api-key'] ?? request.headers.authorization?.replace(/^Bearer /i, '');
    if (typeof text !== 'string' || text === '') {
      throw new SandportError('unauthorized', 'no API key: send it in the header X-API-Key');
    }
    const key = identify(text);
    if (key === undefined) throw new SandportError('unauthorized', 'the API key is not valid');
    request.apiKey = key;
  };
}
