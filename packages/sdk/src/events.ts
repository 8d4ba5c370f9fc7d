// What happened in the lives of sandboxes, also of those that have ended.
import type { LifecycleEvent as EventAnswer } from '@sandport/protocol/api';
import { callApi } from './api-client.ts';
import type { ConnectionOptions } from './connection-config.ts';

export type LifecycleEventType = 'created' | 'updated' | 'paused' | 'resumed' | 'checkpointed' | 'killed';

export interface LifecycleEvent {
  readonly id: string;
  readonly type: LifecycleEventType;
  readonly timestamp: Date;
  readonly sandboxId: string;
  /** Of one start of the sandbox: changes with every resumption. */
  readonly executionId: string;
  readonly templateId: string;
  /** Of `killed`: why it ended. `request`, `timeout`, `out_of_memory`, `exited`, `shutdown`, `lost` or another word. */
  readonly killReason: string | undefined;
  /** All that is told, under the names of the API. */
  readonly data: Readonly<Record<string, unknown>>;
}

export interface EventListOptions extends ConnectionOptions {
  /** Default: of all sandboxes. */
  readonly sandboxId?: string | undefined;
  /** Default: all. */
  readonly types?: readonly LifecycleEventType[] | undefined;
  /** 1 to 100. Default 10. */
  readonly limit?: number | undefined;
  /** How many to leave out. Default 0. */
  readonly offset?: number | undefined;
  /** By time. Default `desc`, the newest first. */
  readonly order?: 'asc' | 'desc' | undefined;
}

const PREFIX = 'sandbox.lifecycle.';

export async function listEvents(options: EventListOptions): Promise<LifecycleEvent[]> {
  const { sandboxId, types, limit, offset, order } = options;
  const query = new URLSearchParams();
  if (types !== undefined && types.length > 0) query.set('types', types.map((type) => PREFIX + type).join(','));
  if (limit !== undefined) query.set('limit', String(limit));
  if (offset !== undefined) query.set('offset', String(offset));
  if (order !== undefined) query.set('orderAsc', String(order === 'asc'));
  const path = sandboxId === undefined ? '/events/sandboxes' : `/events/sandboxes/${encodeURIComponent(sandboxId)}`;
  const { data } = await callApi<EventAnswer[]>(options, 'GET', query.size === 0 ? path : `${path}?${query}`);
  return data.map(toEvent);
}

function toEvent(answer: EventAnswer): LifecycleEvent {
  const data = answer.eventData ?? {};
  return {
    id: answer.id,
    type: answer.type.slice(PREFIX.length) as LifecycleEventType,
    timestamp: new Date(answer.timestamp),
    sandboxId: answer.sandboxId,
    executionId: answer.sandboxExecutionId,
    templateId: answer.sandboxTemplateId,
    killReason: typeof data.kill_reason === 'string' ? data.kill_reason : undefined,
    data,
  };
}
