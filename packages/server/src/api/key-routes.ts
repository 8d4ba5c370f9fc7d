// API keys. Only the machine's own key makes and revokes others.
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { ApiKey, CreateApiKeyBody, NewApiKey } from '@sandport/protocol/api';
import { SandportError } from '@sandport/protocol/errors';
import { Type } from 'typebox';
import type { ApiKeys, ApiKey as Key } from '../store/api-keys.ts';

export interface KeyRoutesOptions {
  readonly apiKeys: ApiKeys;
}

const PREFIX = 'e2b_';
const VALUE_LENGTH = 40;
/** A list of keys is looked through by a person. */
const MOST = 1000;

export const keyRoutes: FastifyPluginAsyncTypebox<KeyRoutesOptions> = async (app, { apiKeys }) => {
  app.addHook('onRequest', async ({ apiKey }) => {
    if (!apiKey.manages) throw new SandportError('forbidden', 'only the key of the machine manages API keys');
  });

  app.get('/api-keys', { schema: { summary: 'List API keys', response: { 200: Type.Array(ApiKey) } } }, () =>
    apiKeys.list().map(answer),
  );

  app.post(
    '/api-keys',
    { schema: { summary: 'Make an API key', body: CreateApiKeyBody, response: { 201: NewApiKey } } },
    async (request, reply) => {
      if (apiKeys.list().length >= MOST) throw new SandportError('bad_request', `there are ${MOST} API keys already`);
      const { name, maxSandboxes } = request.body;
      const { key, record } = apiKeys.create(name, { maxSandboxes });
      return reply.status(201).send({ ...answer(record), key });
    },
  );

  app.delete(
    '/api-keys/:apiKeyID',
    {
      schema: {
        summary: 'Revoke an API key; sandboxes that were created with it go on',
        params: Type.Object({ apiKeyID: Type.String({ maxLength: 64 }) }),
      },
    },
    async (request, reply) => {
      const key = apiKeys.get(request.params.apiKeyID);
      if (key === undefined) throw new SandportError('key_not_found', 'there is no such API key');
      if (key.manages) throw new SandportError('bad_request', 'the key of the machine cannot be revoked');
      apiKeys.delete(key.id);
      return reply.status(204).send();
    },
  );
};

function answer({ id, name, createdAt, maxSandboxes, ending }: Key): ApiKey {
  return {
    id,
    name,
    mask: { prefix: PREFIX, valueLength: VALUE_LENGTH, maskedValuePrefix: '', maskedValueSuffix: ending },
    createdAt: new Date(createdAt).toISOString(),
    ...(maxSandboxes !== undefined && { maxSandboxes }),
  };
}
