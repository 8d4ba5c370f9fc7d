// The queries of lists: filters, order and pages. The token is opaque to clients.
import { SandportError } from '@sandport/protocol/errors';
import { publicState, type SandboxRecord } from '../sandboxes/sandbox-record.ts';

const MAX_LIMIT = 100;

export interface ListQuery {
  readonly metadata?: string;
  /** One value with commas, or several. */
  readonly state?: string | readonly string[];
  readonly limit?: string;
  readonly nextToken?: string;
  readonly order?: string;
  readonly template?: string;
  readonly startedAfter?: string;
}

export interface Page<T> {
  readonly items: readonly T[];
  /** Absent on the last page. */
  readonly nextToken?: string;
}

/** Throws `validation_failed` or `bad_request`. */
export function listPage(all: readonly SandboxRecord[], query: ListQuery): Page<SandboxRecord> {
  return pageOf(choose(all, query), positionOf, query);
}

/** All that run, the newest first: the first version of the list has no pages. */
export function listRunning(all: readonly SandboxRecord[], query: Pick<ListQuery, 'metadata'>): SandboxRecord[] {
  const running = choose(all, { ...query, state: 'running' });
  return running.toSorted((a, b) => -compare(positionOf(a), positionOf(b)));
}

/** Whether a query asks for sandboxes that run. Throws `validation_failed`. */
export function asksForRunning({ state }: ListQuery): boolean {
  return readStates(state).includes('running');
}

function positionOf({ createdAt, id }: SandboxRecord): Position {
  return { at: createdAt, id };
}

function choose(all: readonly SandboxRecord[], query: ListQuery): SandboxRecord[] {
  const wanted = readMetadata(query.metadata);
  const after = readTime(query.startedAfter);
  const states = readStates(query.state);
  if (query.template?.includes(':')) throw invalid('template', 'a template ID or alias without a tag');
  return all.filter(
    ({ spec, startedAt, ...record }) =>
      states.includes(publicState(record) ?? '') &&
      wanted.every(([key, value]) => spec.metadata[key] === value) &&
      (after === undefined || startedAt >= after) &&
      (query.template === undefined || query.template === spec.templateId || query.template === spec.alias),
  );
}

/** One page of `all`, in the order of their positions. Throws `validation_failed` or `bad_request`. */
export function pageOf<T>(
  all: readonly T[],
  position: (item: T) => Position,
  query: Pick<ListQuery, 'limit' | 'nextToken' | 'order'>,
): Page<T> {
  const direction = readOrder(query.order) === 'asc' ? 1 : -1;
  const limit = readLimit(query.limit);
  const cursor = query.nextToken === undefined ? undefined : readToken(query.nextToken);
  const sorted = all
    .toSorted((a, b) => direction * compare(position(a), position(b)))
    .filter((item) => cursor === undefined || direction * compare(position(item), cursor) > 0);
  const items = sorted.slice(0, limit);
  const last = items.at(-1);
  return sorted.length > limit && last !== undefined ? { items, nextToken: writeToken(position(last)) } : { items };
}

/** Never changes, so that nothing is passed over or told twice while the pages are asked for. */
interface Position {
  readonly at: number;
  readonly id: string;
}

function compare(a: Position, b: Position): number {
  return a.at - b.at || (a.id < b.id ? -1 : a.id > b.id ? 1 : 0);
}

function writeToken({ at, id }: Position): string {
  return Buffer.from(`${at}__${id}`).toString('base64url');
}

function readToken(token: string): Position {
  const match = /^(\d{1,16})__([a-z0-9]{1,57})$/.exec(Buffer.from(token, 'base64url').toString('latin1'));
  if (match === null) throw new SandportError('bad_request', 'Invalid next token');
  return { at: Number(match[1]), id: match[2]! };
}

/** The value is a query string of its own, in which the clients have encoded each key and value once before. */
function readMetadata(text: string | undefined): [string, string][] {
  if (text === undefined) return [];
  return [...new URLSearchParams(text)].map(([key, value]) => [decode(key), decode(value)]);
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function readStates(value: ListQuery['state']): string[] {
  const text = typeof value === 'object' ? value.join(',') : value;
  const states = text === undefined || text === '' ? ['running', 'paused'] : text.split(',');
  const odd = states.find((state) => state !== 'running' && state !== 'paused');
  if (odd !== undefined) throw invalid('state', `"running" or "paused", not "${odd.slice(0, 50)}"`);
  return states;
}

function readLimit(text: string | undefined): number {
  if (text === undefined) return MAX_LIMIT;
  const limit = Number(text);
  if (!/^\d{1,5}$/.test(text) || limit < 1 || limit > MAX_LIMIT)
    throw invalid('limit', `a number from 1 to ${MAX_LIMIT}`);
  return limit;
}

function readOrder(text: string | undefined): 'asc' | 'desc' {
  if (text !== undefined && text !== 'asc' && text !== 'desc') throw invalid('order', '"asc" or "desc"');
  return text ?? 'desc';
}

function readTime(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const time = Date.parse(text);
  if (Number.isNaN(time)) throw invalid('startedAfter', 'an RFC 3339 time');
  return time;
}

function invalid(field: string, expected: string): SandportError {
  return new SandportError('validation_failed', `validation error: querystring/${field} must be ${expected}`);
}
