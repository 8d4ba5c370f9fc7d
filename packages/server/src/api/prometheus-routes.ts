// Figures for Prometheus, for who has an API key.
import type { FastifyPluginAsync } from 'fastify';

export interface PrometheusOptions {
  /** The figures in the text format. */
  readonly prometheus: () => Promise<string>;
}

export const prometheusRoutes: FastifyPluginAsync<PrometheusOptions> = async (app, { prometheus }) => {
  app.get('/metrics', { schema: { summary: 'Figures of the gateways, for Prometheus' } }, async (_request, reply) =>
    reply.type('text/plain; version=0.0.4; charset=utf-8').send(await prometheus()),
  );
};
