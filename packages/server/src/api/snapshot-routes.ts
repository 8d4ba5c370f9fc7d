// Snapshots, and sandboxes that go on from one moment of another.
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { ForkBody, ForkResult, SnapshotBody, SnapshotInfo } from '@sandport/protocol/api';
import { Type } from 'typebox';
import type { SnapshotRecord } from '../sandboxes/sandbox-record.ts';
import { snapshotReference } from '../sandboxes/snapshots.ts';
import { pageOf } from './list-query.ts';
import { sandboxAnswer } from './sandbox-answers.ts';
import { readSandboxId, SandboxIdParameter } from './sandbox-id-parameter.ts';
import type { SandboxRoutesOptions } from './sandbox-routes.ts';

const DEFAULT_FORK_SECONDS = 300;

const text = Type.Optional(Type.String({ maxLength: 512 }));
const SnapshotQuerystring = Type.Object({ sandboxID: text, name: text, limit: text, nextToken: text });

export const snapshotRoutes: FastifyPluginAsyncTypebox<SandboxRoutesOptions> = async (app, { sandboxes, tokens }) => {
  app.post(
    '/sandboxes/:sandboxID/snapshots',
    {
      schema: {
        summary: 'Make a snapshot of a running sandbox',
        params: SandboxIdParameter,
        body: SnapshotBody,
        response: { 201: SnapshotInfo },
      },
    },
    async (request, reply) => {
      const id = readSandboxId(request.params.sandboxID);
      const snapshot = await sandboxes.createSnapshot(id, request.body?.name);
      return reply.status(201).send(snapshotAnswer(snapshot));
    },
  );

  app.get(
    '/snapshots',
    {
      schema: {
        summary: 'List snapshots, page by page, the newest first',
        querystring: SnapshotQuerystring,
        response: { 200: Type.Array(SnapshotInfo) },
      },
    },
    async (request, reply) => {
      const { sandboxID, name, ...query } = request.query;
      const wanted = sandboxes
        .listSnapshots()
        .filter((snapshot) => sandboxID === undefined || snapshot.sandboxId === readSandboxId(sandboxID))
        .filter((snapshot) => name === undefined || hasName(snapshot, name));
      const { items, nextToken } = pageOf(wanted, ({ createdAt, id }) => ({ at: createdAt, id }), query);
      if (nextToken !== undefined) reply.header('X-Next-Token', nextToken);
      return items.map(snapshotAnswer);
    },
  );

  app.delete(
    '/templates/:templateID',
    {
      schema: {
        summary: 'Delete a snapshot; sandboxes created from it go on',
        params: Type.Object({ templateID: Type.String() }),
      },
    },
    async (request, reply) => {
      await sandboxes.deleteSnapshot(request.params.templateID);
      return reply.status(204).send();
    },
  );

  app.post(
    '/sandboxes/:sandboxID/fork',
    {
      schema: {
        summary: 'Make sandboxes that go on where this one is now',
        params: SandboxIdParameter,
        body: ForkBody,
        response: { 201: Type.Array(ForkResult) },
      },
    },
    async (request, reply) => {
      const { timeout = DEFAULT_FORK_SECONDS, count = 1 } = request.body ?? {};
      const forks = await sandboxes.fork(readSandboxId(request.params.sandboxID), count, timeout, request.apiKey.id);
      return reply
        .status(201)
        .send(
          forks.map((fork) =>
            'sandbox' in fork ? { sandbox: sandboxAnswer(fork.sandbox, tokens) } : { error: fork.error.toBody() },
          ),
        );
    },
  );
};

function snapshotAnswer(snapshot: SnapshotRecord): SnapshotInfo {
  return { snapshotID: snapshotReference(snapshot), names: snapshot.name === undefined ? [] : [snapshot.name] };
}

/** With its tag or, for those with any tag, without. */
function hasName({ name }: SnapshotRecord, wanted: string): boolean {
  const lower = wanted.toLowerCase();
  return name !== undefined && (name === lower || name.split(':', 1)[0] === lower);
}
