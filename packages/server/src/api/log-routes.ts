// What happened with a sandbox and in it. Times in queries are milliseconds since 1970.
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { LOG_LEVELS, type LogEntry } from '@sandport/protocol/agent-log';
import { LogLevel, SandboxLogEntry, SandboxLogs as SandboxLogsAnswer } from '@sandport/protocol/api';
import { SandportError } from '@sandport/protocol/errors';
import { Type } from 'typebox';
import type { SandboxLogs } from '../sandboxes/sandbox-logs.ts';
import { readQueryNumber } from './query-number.ts';
import { readSandboxId, SandboxIdParameter } from './sandbox-id-parameter.ts';
import type { SandboxRoutesOptions } from './sandbox-routes.ts';

export interface LogRoutesOptions extends SandboxRoutesOptions {
  readonly logs: SandboxLogs;
}

const MAX_LIMIT = 1000;

const number = Type.Optional(Type.String({ maxLength: 16 }));
const V1Query = Type.Object({ start: number, limit: number });
const V2Query = Type.Object({
  cursor: number,
  limit: number,
  direction: Type.Optional(Type.Union([Type.Literal('forward'), Type.Literal('backward')])),
  level: Type.Optional(LogLevel),
  search: Type.Optional(Type.String({ maxLength: 256 })),
});

export const logRoutes: FastifyPluginAsyncTypebox<LogRoutesOptions> = async (app, { sandboxes, logs }) => {
  app.get(
    '/sandboxes/:sandboxID/logs',
    {
      schema: {
        summary: 'What happened with a sandbox and in it from a time on, the oldest first',
        params: SandboxIdParameter,
        querystring: V1Query,
        response: { 200: SandboxLogsAnswer },
      },
    },
    async (request) => {
      const start = readNumber('start', request.query.start) ?? 0;
      const limit = readLimit(request.query.limit);
      const all = await logs.of(sandboxes.get(readSandboxId(request.params.sandboxID)));
      const entries = all.filter(({ at }) => at >= start).slice(0, limit);
      return { logs: entries.map(line), logEntries: entries.map(logEntry) };
    },
  );

  app.get(
    '/v2/sandboxes/:sandboxID/logs',
    {
      schema: {
        summary: 'What happened with a sandbox and in it, from a time on or back from it',
        params: SandboxIdParameter,
        querystring: V2Query,
        response: { 200: Type.Object({ logs: Type.Array(SandboxLogEntry) }) },
      },
    },
    async (request) => {
      const { direction = 'backward', level = 'debug', search = '' } = request.query;
      const cursor = readNumber('cursor', request.query.cursor);
      const limit = readLimit(request.query.limit);
      const isForward = direction === 'forward';
      const all = await logs.of(sandboxes.get(readSandboxId(request.params.sandboxID)));
      const wanted = all.filter(
        (entry) =>
          (cursor === undefined || (isForward ? entry.at >= cursor : entry.at <= cursor)) &&
          LOG_LEVELS.indexOf(entry.level) >= LOG_LEVELS.indexOf(level) &&
          entry.message.includes(search),
      );
      return { logs: (isForward ? wanted : wanted.reverse()).slice(0, limit).map(logEntry) };
    },
  );
};

function logEntry({ at, level, logger, message, fields }: LogEntry): SandboxLogEntry {
  return { timestamp: new Date(at).toISOString(), level, message, fields: { ...fields, logger } };
}

/** The command line of the official clients reads each line as JSON, and its `level` and `logger`. */
function line({ at, level, logger, message, fields }: LogEntry): { timestamp: string; line: string } {
  return { timestamp: new Date(at).toISOString(), line: JSON.stringify({ ...fields, level, logger, message }) };
}

function readLimit(text: string | undefined): number {
  const limit = readNumber('limit', text) ?? MAX_LIMIT;
  if (limit <= MAX_LIMIT) return limit;
  throw new SandportError('bad_request', `limit is ${limit}; expected at most ${MAX_LIMIT}`);
}

function readNumber(name: string, text: string | undefined): number | undefined {
  return readQueryNumber(name, text, 15, 'a number');
}
