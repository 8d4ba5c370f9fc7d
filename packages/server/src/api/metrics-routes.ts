// What sandboxes use, now and over time.
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { SandboxMetric } from '@sandport/protocol/api';
import { SandportError } from '@sandport/protocol/errors';
import { Type } from 'typebox';
import type { ResourceLimits } from '../host/runtime/runtime.ts';
import type { UsageHistory, UsageSample } from '../sandboxes/usage-history.ts';
import { readQueryNumber } from './query-number.ts';
import { readSandboxId, SandboxIdParameter } from './sandbox-id-parameter.ts';
import type { SandboxRoutesOptions } from './sandbox-routes.ts';

export interface MetricsRoutesOptions extends SandboxRoutesOptions {
  readonly usage: UsageHistory;
}

const MIB = 1024 * 1024;
const MAX_IDS = 100;

const seconds = Type.Optional(Type.String({ maxLength: 16 }));

export const metricsRoutes: FastifyPluginAsyncTypebox<MetricsRoutesOptions> = async (app, { sandboxes, usage }) => {
  app.get(
    '/sandboxes/:sandboxID/metrics',
    {
      schema: {
        summary: 'What a sandbox has used, oldest first: a sample every five seconds, of half an hour at most',
        params: SandboxIdParameter,
        querystring: Type.Object({ start: seconds, end: seconds }),
        response: { 200: Type.Array(SandboxMetric) },
      },
    },
    async (request) => {
      const { id, spec } = sandboxes.get(readSandboxId(request.params.sandboxID));
      const from = readSeconds('start', request.query.start) ?? 0;
      const to = readSeconds('end', request.query.end) ?? Infinity;
      if (from > to) throw new SandportError('bad_request', 'start is later than end');
      const samples = await usage.of(id);
      const within = samples.filter(({ at }) => at >= from * 1000 && at < (to + 1) * 1000);
      return within.map((sample) => metricAnswer(sample, spec.limits));
    },
  );

  app.get(
    '/sandboxes/metrics',
    {
      schema: {
        summary: 'What each of several sandboxes uses now; those that are not known are left out',
        querystring: Type.Object({ sandbox_ids: Type.String({ minLength: 1, maxLength: MAX_IDS * 64 }) }),
        response: { 200: Type.Object({ sandboxes: Type.Record(Type.String(), SandboxMetric) }) },
      },
    },
    async (request) => {
      const ids = [...new Set(request.query.sandbox_ids.split(','))].map(readSandboxId);
      if (ids.length > MAX_IDS) throw new SandportError('bad_request', `more than ${MAX_IDS} sandboxes in one request`);
      const known = sandboxes.list().filter(({ id }) => ids.includes(id));
      const answers: Record<string, SandboxMetric> = {};
      for (const { id, spec } of known) {
        const last = (await usage.of(id)).at(-1);
        if (last !== undefined) answers[id] = metricAnswer(last, spec.limits);
      }
      return { sandboxes: answers };
    },
  );
};

function metricAnswer(sample: UsageSample, limits: ResourceLimits): SandboxMetric {
  return {
    timestamp: new Date(sample.at).toISOString(),
    timestampUnix: Math.floor(sample.at / 1000),
    cpuCount: limits.cpuCount,
    cpuUsedPct: sample.cpuPercent,
    memUsed: sample.memoryBytes,
    memTotal: limits.memoryMB * MIB,
    memCache: sample.cacheBytes,
    diskUsed: sample.diskBytes,
    diskTotal: limits.diskSizeMB * MIB,
  };
}

function readSeconds(name: string, text: string | undefined): number | undefined {
  return readQueryNumber(name, text, 12, 'seconds since 1970');
}
