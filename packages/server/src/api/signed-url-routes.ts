// URLs that open a private port for a time. An extension: the official clients have no such call.
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { SignedUrl, SignUrlBody } from '@sandport/protocol/api';
import { readSandboxId, SandboxIdParameter } from './sandbox-id-parameter.ts';
import type { SandboxRoutesOptions } from './sandbox-routes.ts';

const DEFAULT_SECONDS = 3600;

export const signedUrlRoutes: FastifyPluginAsyncTypebox<SandboxRoutesOptions> = async (app, { sandboxes }) => {
  app.post(
    '/sandboxes/:sandboxID/signed-urls',
    {
      schema: {
        summary: 'Sign a URL that opens one private port for a time',
        params: SandboxIdParameter,
        body: SignUrlBody,
        response: { 201: SignedUrl },
      },
    },
    async (request, reply) => {
      const { port, expiresIn = DEFAULT_SECONDS } = request.body;
      const { url, expiresAt } = sandboxes.signUrl(readSandboxId(request.params.sandboxID), port, expiresIn);
      return reply.status(201).send({ url, expiresAt: new Date(expiresAt).toISOString() });
    },
  );

  app.delete(
    '/sandboxes/:sandboxID/signed-urls',
    { schema: { summary: 'Revoke every signed URL of a sandbox', params: SandboxIdParameter } },
    async (request, reply) => {
      await sandboxes.revokeSignedUrls(readSandboxId(request.params.sandboxID));
      return reply.status(204).send();
    },
  );
};
