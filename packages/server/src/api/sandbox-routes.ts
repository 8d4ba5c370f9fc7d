// Create, read, list and kill sandboxes.
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { CreateSandboxBody, CreateSandboxV2Body, ListedSandbox, Sandbox, SandboxDetail } from '@sandport/protocol/api';
import { Type } from 'typebox';
import type { SandboxTokens } from '../sandboxes/sandbox-tokens.ts';
import type { CreateRequest, Sandboxes } from '../sandboxes/sandboxes.ts';
import { readEnvironment } from './environment.ts';
import { asksForRunning, listPage, listRunning } from './list-query.ts';
import { egressSpec } from './network-routes.ts';
import { refuseOptions } from './refused-options.ts';
import { detailAnswer, listedAnswer, sandboxAnswer } from './sandbox-answers.ts';
import { readSandboxId, SandboxIdParameter } from './sandbox-id-parameter.ts';

export interface SandboxRoutesOptions {
  readonly sandboxes: Sandboxes;
  readonly tokens: SandboxTokens;
}

/** What a creation without `timeout` gets, in seconds. The clients always send theirs. */
const DEFAULT_TIMEOUT_SECONDS = 15;
const DEFAULT_TIMEOUT_SECONDS_V2 = 300;

const text = Type.Optional(Type.String({ maxLength: 8192 }));
const ListQuerystring = Type.Object({
  metadata: text,
  // The Python client names each state in a parameter of its own.
  state: Type.Optional(Type.Union([text, Type.Array(Type.String({ maxLength: 64 }), { maxItems: 16 })])),
  limit: text,
  nextToken: text,
  order: text,
  template: text,
  startedAfter: text,
});

export const sandboxRoutes: FastifyPluginAsyncTypebox<SandboxRoutesOptions> = async (app, { sandboxes, tokens }) => {
  app.post(
    '/sandboxes',
    { schema: { summary: 'Create a sandbox', body: CreateSandboxBody, response: { 201: Sandbox } } },
    async (request, reply) => {
      const record = await sandboxes.create(createRequest(request.body, request.apiKey.id));
      return reply.status(201).send(sandboxAnswer(record, tokens));
    },
  );

  app.post(
    '/v2/sandboxes',
    { schema: { summary: 'Create a sandbox, always secured', body: CreateSandboxV2Body, response: { 201: Sandbox } } },
    async (request, reply) => {
      const body = { timeout: DEFAULT_TIMEOUT_SECONDS_V2, ...request.body, secure: true };
      const record = await sandboxes.create(createRequest(body, request.apiKey.id));
      return reply.status(201).send(sandboxAnswer(record, tokens));
    },
  );

  app.get(
    '/v2/sandboxes',
    {
      schema: {
        summary: 'List sandboxes, page by page',
        querystring: ListQuerystring,
        response: { 200: Type.Array(ListedSandbox) },
      },
    },
    async (request, reply) => {
      const { items, nextToken } = listPage(sandboxes.list(), request.query);
      if (nextToken !== undefined) reply.header('X-Next-Token', nextToken);
      if (asksForRunning(request.query)) reply.header('X-Total-Running', sandboxes.runningCount);
      return items.map(listedAnswer);
    },
  );

  app.get(
    '/sandboxes',
    {
      schema: {
        summary: 'List all running sandboxes; use the second version',
        deprecated: true,
        querystring: ListQuerystring,
        response: { 200: Type.Array(ListedSandbox) },
      },
    },
    async (request) => {
      const { metadata } = request.query;
      return listRunning(sandboxes.list(), metadata === undefined ? {} : { metadata }).map(listedAnswer);
    },
  );

  app.get(
    '/sandboxes/:sandboxID',
    { schema: { summary: 'One sandbox', params: SandboxIdParameter, response: { 200: SandboxDetail } } },
    async (request) => detailAnswer(sandboxes.get(readSandboxId(request.params.sandboxID)), tokens),
  );

  app.delete(
    '/sandboxes/:sandboxID',
    { schema: { summary: 'Kill a sandbox', params: SandboxIdParameter } },
    async (request, reply) => {
      await sandboxes.kill(readSandboxId(request.params.sandboxID));
      return reply.status(204).send();
    },
  );
};

/** Throws `not_supported` or `validation_failed`. */
function createRequest(body: CreateSandboxBody, apiKeyId: string): CreateRequest {
  refuseOptions(body);
  const network = body.network ?? {};
  return {
    apiKeyId,
    template: body.templateID,
    timeoutSeconds: body.timeout ?? DEFAULT_TIMEOUT_SECONDS,
    secure: body.secure ?? false,
    metadata: body.metadata ?? {},
    envVars: readEnvironment(body.envVars ?? {}),
    lifecycle: {
      pauseAtTimeout: body.autoPause ?? false,
      keepMemory: body.autoPauseMemory,
      autoResume: body.autoResume?.enabled ?? false,
      restoreWhenLost: body.restoreWhenLost ?? false,
    },
    network: {
      allowPublicTraffic: network.allowPublicTraffic ?? true,
      ...(network.publicPorts !== undefined && { publicPorts: network.publicPorts }),
      ...(network.privatePorts !== undefined && { privatePorts: network.privatePorts }),
      ...(network.maskRequestHost !== undefined && { maskRequestHost: network.maskRequestHost }),
      ...(network.maskRequestOrigin && { maskRequestOrigin: true }),
      ...(network.http2Ports !== undefined && { http2Ports: network.http2Ports }),
      ...egressSpec({
        ...network,
        ...(body.allow_internet_access !== undefined && { allow_internet_access: body.allow_internet_access }),
      }),
    },
  };
}
