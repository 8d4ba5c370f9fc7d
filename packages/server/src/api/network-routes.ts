// Changes of what a running sandbox may reach.
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { EgressRules, NetworkReport } from '@sandport/protocol/api';
import type { EgressTraffic } from '../egress/messages.ts';
import type { EgressSpec } from '../sandboxes/sandbox-record.ts';
import { networkAnswer } from './sandbox-answers.ts';
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

  app.get(
    '/sandboxes/:sandboxID/network',
    {
      schema: {
        summary: 'What the sandbox may reach, sent and received, and was denied of late',
        params: SandboxIdParameter,
        response: { 200: NetworkReport },
      },
    },
    async (request) => {
      const sandboxID = readSandboxId(request.params.sandboxID);
      const { network, traffic, denials } = await sandboxes.networkReport(sandboxID);
      return {
        sandboxID,
        ...(network.allowInternetAccess !== undefined && { allowInternetAccess: network.allowInternetAccess }),
        network: networkAnswer(network),
        traffic,
        denials: denials.map((denial) => ({
          ...denial,
          at: new Date(denial.at).toISOString(),
        })) as NetworkReport['denials'],
      };
    },
  );

  app.get(
    '/metrics/network',
    { schema: { summary: 'Traffic of every running sandbox, in the text format of Prometheus' } },
    async (_request, reply) => {
      reply.type('text/plain; version=0.0.4; charset=utf-8');
      return metricsText(await sandboxes.traffic());
    },
  );
};

const METRICS = [
  ['sandport_egress_connections_total', 'connections', 'Connections to the outside.'],
  ['sandport_egress_sent_bytes_total', 'sentBytes', 'Bytes sent to the outside.'],
  ['sandport_egress_received_bytes_total', 'receivedBytes', 'Bytes received from the outside.'],
  ['sandport_egress_denied_total', 'denied', 'Packets, connections and questions about names that were denied.'],
] as const;

function metricsText(traffic: ReadonlyMap<string, EgressTraffic>): string {
  return METRICS.map(([name, key, help]) => {
    const samples = [...traffic].map(([id, one]) => `${name}{sandbox="${id}"} ${one[key]}\n`);
    return `# HELP ${name} ${help}\n# TYPE ${name} counter\n${samples.join('')}`;
  }).join('');
}

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
