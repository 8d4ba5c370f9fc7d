// The REST API: a Fastify server on a Unix socket behind the gateway. See wire facts in the doc comments of the routes.
import cors from '@fastify/cors';
import swagger from '@fastify/swagger';
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import Fastify, { type FastifyBaseLogger, type FastifyInstance, LogController } from 'fastify';
import { requireApiKey } from './authentication.ts';
import { answerErrors } from './error-answers.ts';
import { type EventRoutesOptions, eventRoutes } from './event-routes.ts';
import { type KeyRoutesOptions, keyRoutes } from './key-routes.ts';
import { type LogRoutesOptions, logRoutes } from './log-routes.ts';
import { type MetricsRoutesOptions, metricsRoutes } from './metrics-routes.ts';
import { networkRoutes } from './network-routes.ts';
import { pauseRoutes } from './pause-routes.ts';
import { type PrometheusOptions, prometheusRoutes } from './prometheus-routes.ts';
import { sandboxRoutes } from './sandbox-routes.ts';
import { type Compilers, lazyCompilers } from './schema-compilers.ts';
import { signedUrlRoutes } from './signed-url-routes.ts';
import { snapshotRoutes } from './snapshot-routes.ts';
import { timeoutRoutes } from './timeout-routes.ts';
import { type WebhookRoutesOptions, webhookRoutes } from './webhook-routes.ts';

/** As e2b's: two full lists of a sandbox's network rules take 5 MiB. */
const BODY_LIMIT = 16 * 1024 * 1024;
/** Longer than any client keeps an idle connection, so that the gateway never reuses one that is being closed. */
const KEEP_ALIVE_MS = 640_000;

export interface ApiOptions
  extends PrometheusOptions,
    MetricsRoutesOptions,
    LogRoutesOptions,
    EventRoutesOptions,
    WebhookRoutesOptions,
    KeyRoutesOptions {
  readonly logger: FastifyBaseLogger;
}

export async function createApi(options: ApiOptions, compilers: Compilers = lazyCompilers): Promise<FastifyInstance> {
  const app = Fastify({
    loggerInstance: options.logger,
    logController: new LogController({ disableRequestLogging: true }),
    bodyLimit: BODY_LIMIT,
    keepAliveTimeout: KEEP_ALIVE_MS,
    forceCloseConnections: true,
    routerOptions: { maxParamLength: 256 },
  }).withTypeProvider<TypeBoxTypeProvider>();
  app.setValidatorCompiler(compilers.validator);
  app.setSerializerCompiler(compilers.serializer);

  await app.register(swagger, {
    openapi: { info: { title: 'Sandport API', version: '0.1.0' } },
  });
  await app.register(cors, {
    origin: '*',
    methods: ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'],
    exposedHeaders: ['X-Next-Token', 'X-Total-Running', 'Retry-After'],
    maxAge: 7200,
  });
  answerErrors(app);
  acceptEmptyJson(app);

  // Health first and outside of the scope that asks for a key.
  app.get('/health', { schema: { summary: 'Whether the API answers' } }, (_request, reply) =>
    reply.type('text/plain; charset=utf-8').send('Health check successful'),
  );
  app.get('/openapi.json', { schema: { hide: true } }, () => app.swagger());
  await app.register(async (scope) => {
    scope.addHook(
      'onRequest',
      requireApiKey((key) => options.apiKeys.identify(key)),
    );
    await scope.register(sandboxRoutes, options);
    await scope.register(timeoutRoutes, options);
    await scope.register(metricsRoutes, options);
    await scope.register(logRoutes, options);
    await scope.register(prometheusRoutes, options);
    await scope.register(networkRoutes, options);
    await scope.register(signedUrlRoutes, options);
    await scope.register(pauseRoutes, options);
    await scope.register(snapshotRoutes, options);
    await scope.register(eventRoutes, options);
    await scope.register(webhookRoutes, options);
    await scope.register(keyRoutes, options);
  });
  return app;
}

/** Clients send the JSON content type with requests that have no body. */
function acceptEmptyJson(app: FastifyInstance): void {
  const parse = app.getDefaultJsonParser('error', 'error');
  app.removeContentTypeParser('application/json');
  app.addContentTypeParser('application/json', { parseAs: 'string' }, (request, body, done) => {
    if (body === '') done(null, undefined);
    else parse(request, body as string, done);
  });
}
