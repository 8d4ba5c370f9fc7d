// Moves of the end of a sandbox that runs.
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { RefreshBody, TimeoutBody } from '@sandport/protocol/api';
import { readSandboxId, SandboxIdParameter } from './sandbox-id-parameter.ts';
import type { SandboxRoutesOptions } from './sandbox-routes.ts';

const DEFAULT_REFRESH_SECONDS = 15;

export const timeoutRoutes: FastifyPluginAsyncTypebox<SandboxRoutesOptions> = async (app, { sandboxes }) => {
  app.post(
    '/sandboxes/:sandboxID/timeout',
    { schema: { summary: 'Move the end, also to an earlier time', params: SandboxIdParameter, body: TimeoutBody } },
    async (request, reply) => {
      sandboxes.setTimeout(readSandboxId(request.params.sandboxID), request.body.timeout);
      return reply.status(204).send();
    },
  );

  app.post(
    '/sandboxes/:sandboxID/refreshes',
    { schema: { summary: 'Move the end to a later time', params: SandboxIdParameter, body: RefreshBody } },
    async (request, reply) => {
      const seconds = Math.max(request.body?.duration ?? DEFAULT_REFRESH_SECONDS, DEFAULT_REFRESH_SECONDS);
      sandboxes.extend(readSandboxId(request.params.sandboxID), seconds);
      return reply.status(204).send();
    },
  );
};
