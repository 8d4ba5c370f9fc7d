// What happened in the lives of sandboxes, also of those that have ended. Facts: the lifecycle events of the official API.
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { LifecycleEvent } from '@sandport/protocol/api';
import { SandportError } from '@sandport/protocol/errors';
import { Type } from 'typebox';
import { type EventKind, type EventQuery, type EventStore, eventKind } from '../events/lifecycle-event.ts';
import { eventBody } from '../events/webhook-request.ts';
import { readQueryNumber } from './query-number.ts';
import { readSandboxId, SandboxIdParameter } from './sandbox-id-parameter.ts';

export interface EventRoutesOptions {
  readonly events: EventStore;
}

const DEFAULT_LIMIT = 10;
const MAX_LIMIT = 100;
const MAX_OFFSET = 1_000_000;

const text = Type.Optional(Type.String({ maxLength: 512 }));
const Querystring = Type.Object({
  limit: text,
  offset: text,
  orderAsc: text,
  /** One value with commas, or several. */
  types: Type.Optional(Type.Union([Type.String({ maxLength: 512 }), Type.Array(Type.String({ maxLength: 512 }))])),
});
const Answer = { 200: Type.Array(LifecycleEvent) };

export const eventRoutes: FastifyPluginAsyncTypebox<EventRoutesOptions> = async (app, { events }) => {
  app.get(
    '/events/sandboxes',
    { schema: { summary: 'Events of all sandboxes, the newest first', querystring: Querystring, response: Answer } },
    (request) => events.list(readQuery(request.query)).map(eventBody),
  );

  app.get(
    '/events/sandboxes/:sandboxID',
    {
      schema: {
        summary: 'Events of one sandbox, the newest first, also when it has ended',
        params: SandboxIdParameter,
        querystring: Querystring,
        response: Answer,
      },
    },
    (request) => {
      const sandboxId = readSandboxId(request.params.sandboxID);
      return events.list({ ...readQuery(request.query), sandboxId }).map(eventBody);
    },
  );
};

/** Throws `bad_request`, or as `readEventTypes`. */
function readQuery(query: {
  readonly limit?: string;
  readonly offset?: string;
  readonly orderAsc?: string;
  readonly types?: string | string[];
}): EventQuery {
  const { orderAsc = 'false', types = '' } = query;
  if (orderAsc !== 'true' && orderAsc !== 'false') {
    throw new SandportError('bad_request', `orderAsc is "${orderAsc.slice(0, 50)}"; expected true or false`);
  }
  const wanted = [types].flat().flatMap((each) => each.split(','));
  return {
    kinds: readEventTypes(wanted.filter((type) => type !== '')),
    limit: readNumber('limit', query.limit, DEFAULT_LIMIT, 1, MAX_LIMIT),
    offset: readNumber('offset', query.offset, 0, 0, MAX_OFFSET),
    order: orderAsc === 'true' ? 'asc' : 'desc',
  };
}

/** Throws `validation_failed` for a type that there is not. */
export function readEventTypes(types: readonly string[]): EventKind[] {
  const kinds = types.map((type) => {
    const kind = eventKind(type);
    if (kind !== undefined) return kind;
    const message = `validation error: "${type.slice(0, 64)}" is no type of event, such as "sandbox.lifecycle.created"`;
    throw new SandportError('validation_failed', message);
  });
  return [...new Set(kinds)];
}

function readNumber(name: string, text: string | undefined, otherwise: number, least: number, most: number): number {
  const expected = `a number from ${least} to ${most}`;
  const number = readQueryNumber(name, text, String(most).length, expected) ?? otherwise;
  if (number >= least && number <= most) return number;
  throw new SandportError('bad_request', `${name} is "${text}"; expected ${expected}`);
}
