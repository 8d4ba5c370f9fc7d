// Webhooks: whom the events of sandboxes are sent to.
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { CreateWebhookBody, TEAM_ID, UpdateWebhookBody, Webhook } from '@sandport/protocol/api';
import { Type } from 'typebox';
import { eventType } from '../events/lifecycle-event.ts';
import type { WebhookReport, Webhooks } from '../events/webhooks.ts';
import { readEventTypes } from './event-routes.ts';

export interface WebhookRoutesOptions {
  readonly webhooks: Webhooks;
}

const Parameters = Type.Object({ webhookID: Type.String({ maxLength: 64 }) });

export const webhookRoutes: FastifyPluginAsyncTypebox<WebhookRoutesOptions> = async (app, { webhooks }) => {
  app.post(
    '/events/webhooks',
    { schema: { summary: 'Register a webhook', body: CreateWebhookBody, response: { 201: Webhook } } },
    async (request, reply) => {
      const { name, url, events, enabled = true, signatureSecret: secret } = request.body;
      const created = webhooks.create({ name, url, kinds: readEventTypes(events), enabled, secret });
      return reply.status(201).send(answer(created));
    },
  );

  app.get(
    '/events/webhooks',
    { schema: { summary: 'List webhooks, the oldest first', response: { 200: Type.Array(Webhook) } } },
    () => webhooks.list().map(answer),
  );

  app.get(
    '/events/webhooks/:webhookID',
    { schema: { summary: 'One webhook, and how it fares', params: Parameters, response: { 200: Webhook } } },
    (request) => answer(webhooks.get(request.params.webhookID)),
  );

  app.patch(
    '/events/webhooks/:webhookID',
    {
      schema: {
        summary: 'Change what is given of a webhook',
        params: Parameters,
        body: UpdateWebhookBody,
        response: { 200: Webhook },
      },
    },
    async (request) => {
      const { name, url, events, enabled, signatureSecret: secret } = request.body;
      const changed = await webhooks.update(request.params.webhookID, {
        ...(name !== undefined && { name }),
        ...(url !== undefined && { url }),
        ...(events !== undefined && { kinds: readEventTypes(events) }),
        ...(enabled !== undefined && { enabled }),
        ...(secret !== undefined && { secret }),
      });
      return answer(changed);
    },
  );

  app.delete(
    '/events/webhooks/:webhookID',
    { schema: { summary: 'Delete a webhook', params: Parameters } },
    async (request, reply) => {
      await webhooks.delete(request.params.webhookID);
      return reply.status(200).send({});
    },
  );
};

function answer({ webhook, deliveredAt, failure }: WebhookReport): Webhook {
  const { id, name, url, kinds, enabled, createdAt } = webhook;
  return {
    ...{ id, name, url, enabled },
    teamId: TEAM_ID,
    teamID: TEAM_ID,
    events: kinds.map(eventType),
    createdAt: new Date(createdAt).toISOString(),
    ...(deliveredAt !== undefined && { deliveredAt: new Date(deliveredAt).toISOString() }),
    ...(failure !== undefined && { failure }),
  };
}
