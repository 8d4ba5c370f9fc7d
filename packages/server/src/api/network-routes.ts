// Changes of what a running sandbox may reach.
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { EgressRules } from '@sandport/protocol/api';
import type { EgressSpec } from '../sandboxes/sandbox-record.ts';
import { readSandboxId, SandboxIdParameter } from './sandbox-id-parameter.ts';
import type { SandboxRoutesOptions } from './sandbox-routes.ts';

export const networkRoutes: FastifyPluginAsyncTypebox<SandboxRoutesOptions> = async (app, { sandboxes }) => {
  app.put(
    '/sandboxes/:sandboxID/network',
    { schema: { summary: 'Replace what the sandbox may reach', params: SandboxIdParameter, body: EgressRules } },
    async (request, reply) => {
      await sandboxes.updateNetwork(readSandboxId(request.params.sandboxID), egressSpec(request.body));
      return reply.status(204).send();
    },
  );
};

/** What a creation or an update says of the way out; what it leaves out is left open. */
export function egressSpec(body: EgressRules): EgressSpec {
  const { allow_internet_access: allowInternetAccess, rules, egressProxy } = body;
  return {
    ...(allowInternetAccess !== undefined && { allowInternetAccess }),
    allowOut: body.allowOut ?? [],
    denyOut: body.denyOut ?? [],
    ...(rules !== undefined && { rules }),
    ...(egressProxy && { egressProxy }),
  };
}
