// Changes of what a running sandbox may reach.
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { EgressRules } from '@sandport/protocol/api';
import { readSandboxId, SandboxIdParameter } from './sandbox-id-parameter.ts';
import type { SandboxRoutesOptions } from './sandbox-routes.ts';

export const networkRoutes: FastifyPluginAsyncTypebox<SandboxRoutesOptions> = async (app, { sandboxes }) => {
  app.put(
    '/sandboxes/:sandboxID/network',
    { schema: { summary: 'Replace what the sandbox may reach', params: SandboxIdParameter, body: EgressRules } },
    async (request, reply) => {
      await sandboxes.updateNetwork(readSandboxId(request.params.sandboxID), {
        allowInternetAccess: request.body.allow_internet_access,
        allowOut: request.body.allowOut ?? [],
        denyOut: request.body.denyOut ?? [],
      });
      return reply.status(204).send();
    },
  );
};
