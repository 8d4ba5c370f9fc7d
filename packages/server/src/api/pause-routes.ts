// Pause a sandbox, and bring it back.
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { ConnectBody, ConnectV2Body, PauseBody, ResumeBody, Sandbox } from '@sandport/protocol/api';
import { SandportError } from '@sandport/protocol/errors';
import { sandboxAnswer } from './sandbox-answers.ts';
import { readSandboxId, SandboxIdParameter } from './sandbox-id-parameter.ts';
import type { SandboxRoutesOptions } from './sandbox-routes.ts';

const DEFAULT_CONNECT_SECONDS = 300;
const DEFAULT_RESUME_SECONDS = 15;

export const pauseRoutes: FastifyPluginAsyncTypebox<SandboxRoutesOptions> = async (app, { sandboxes, tokens }) => {
  app.post(
    '/sandboxes/:sandboxID/pause',
    { schema: { summary: 'Pause a sandbox', params: SandboxIdParameter, body: PauseBody } },
    async (request, reply) => {
      await sandboxes.pause(readSandboxId(request.params.sandboxID), request.body?.memory ?? true);
      return reply.status(204).send();
    },
  );

  app.post(
    '/sandboxes/:sandboxID/resume',
    {
      schema: {
        summary: 'Resume a paused sandbox; use connect',
        deprecated: true,
        params: SandboxIdParameter,
        body: ResumeBody,
        response: { 201: Sandbox },
      },
    },
    async (request, reply) => {
      const id = readSandboxId(request.params.sandboxID);
      if (sandboxes.get(id).state === 'running') {
        throw new SandportError('sandbox_state_conflict', `Sandbox "${id}" is already running`);
      }
      const { record } = await sandboxes.connect(id, request.body?.timeout ?? DEFAULT_RESUME_SECONDS);
      return reply.status(201).send(sandboxAnswer(record, tokens));
    },
  );

  app.post(
    '/sandboxes/:sandboxID/connect',
    {
      schema: {
        summary: 'Connect to a sandbox: resume it if it is paused, and move its end to a later time',
        params: SandboxIdParameter,
        body: ConnectBody,
        response: { 200: Sandbox, 201: Sandbox },
      },
    },
    async (request, reply) => {
      const id = readSandboxId(request.params.sandboxID);
      const { record, resumed } = await sandboxes.connect(id, request.body.timeout);
      return reply.status(resumed ? 201 : 200).send(sandboxAnswer(record, tokens));
    },
  );

  app.post(
    '/v2/sandboxes/:sandboxID/connect',
    {
      schema: {
        summary: 'Connect to a sandbox: resume it if it is paused, and move its end to a later time',
        params: SandboxIdParameter,
        body: ConnectV2Body,
        response: { 200: Sandbox, 201: Sandbox },
      },
    },
    async (request, reply) => {
      const id = readSandboxId(request.params.sandboxID);
      const seconds = request.body?.timeout ?? DEFAULT_CONNECT_SECONDS;
      const { record, resumed } = await sandboxes.connect(id, seconds, { restart: request.body?.memory === false });
      return reply.status(resumed ? 201 : 200).send(sandboxAnswer(record, tokens));
    },
  );
};
