// API keys on requests: the header `X-API-Key`, as the official clients send it.
import { SandportError } from '@sandport/protocol/errors';
import type { onRequestAsyncHookHandler } from 'fastify';

export function requireApiKey(identify: (key: string) => string | undefined): onRequestAsyncHookHandler {
  return async (request) => {
    const key = request.headers['x-api-key'];
    if (typeof key !== 'string' || key === '') {
      throw new SandportError('unauthorized', 'no API key: send it in the header X-API-Key');
    }
    if (identify(key) === undefined) throw new SandportError('unauthorized', 'the API key is not valid');
  };
}
