// Everything that moves the end of a sandbox.
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { ConnectBody, ConnectV2Body, RefreshBody, Sandbox, TimeoutBody } from '@sandport/protocol/api';
import { sandboxAnswer } from './sandbox-answers.ts';
import { readSandboxId, SandboxIdParameter } from './sandbox-id-parameter.ts';
import type { SandboxRoutesOptions } from './sandbox-routes.ts';

const DEFAULT_REFRESH_SECONDS = 15;
const DEFAULT_CONNECT_SECONDS = 300;

export const timeoutRoutes: FastifyPluginAsyncTypebox<SandboxRoutesOptions> = async (app, { sandboxes, tokens }) => {
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
      const seconds = Math.max(request.body.duration ?? DEFAULT_REFRESH_SECONDS, DEFAULT_REFRESH_SECONDS);
      sandboxes.extend(readSandboxId(request.params.sandboxID), seconds);
      return reply.status(204).send();
    },
  );

  app.post(
    '/sandboxes/:sandboxID/connect',
    {
      schema: {
        summary: 'Connect to a sandbox and move its end to a later time',
        params: SandboxIdParameter,
        body: ConnectBody,
        response: { 200: Sandbox },
      },
    },
    async (request) => {
      const record = sandboxes.extend(readSandboxId(request.params.sandboxID), request.body.timeout);
      return sandboxAnswer(record, tokens);
    },
  );

  app.post(
    '/v2/sandboxes/:sandboxID/connect',
    {
      schema: {
        summary: 'Connect to a sandbox and move its end to a later time',
        params: SandboxIdParameter,
        body: ConnectV2Body,
        response: { 200: Sandbox },
      },
    },
    async (request) => {
      const seconds = request.body?.timeout ?? DEFAULT_CONNECT_SECONDS;
      return sandboxAnswer(sandboxes.extend(readSandboxId(request.params.sandboxID), seconds), tokens);
    },
  );
};
