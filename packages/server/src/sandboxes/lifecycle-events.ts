// The events of a sandbox's life, made of its record; each is stored with the change that it tells of.
import { randomUUID } from 'node:crypto';
import type { EventKind, LifecycleEvent } from '../events/lifecycle-event.ts';
import type { SandboxRecord } from './sandbox-record.ts';

/** Why a sandbox ended, and how a person is told. */
export const END_REASONS = {
  request: 'it was killed',
  timeout: 'its end time came',
  out_of_memory: 'it ran out of memory',
  exited: 'its processes ended',
  creation_failed: 'it could not be created',
  pause_failed: 'it could not be paused at its end time',
  shutdown: 'the server was stopped',
  lost: 'the machine was started anew, or lost it',
} as const;
export type EndReason = keyof typeof END_REASONS;

/** @param at milliseconds since 1970 */
export function lifecycleEvent(
  kind: EventKind,
  record: SandboxRecord,
  at: number,
  data: Readonly<Record<string, unknown>> = {},
): LifecycleEvent {
  const { metadata, templateId } = record.spec;
  return {
    id: randomUUID(),
    kind,
    sandboxId: record.id,
    executionId: record.generation,
    templateId,
    at,
    data: { ...(Object.keys(metadata).length > 0 && { sandbox_metadata: metadata }), ...data },
  };
}

/** What one start of a sandbox was, told when it is over. */
export function executionData({ startedAt, spec }: SandboxRecord, at: number): Readonly<Record<string, unknown>> {
  return {
    execution: {
      started_at: new Date(startedAt).toISOString(),
      execution_time: Math.max(0, at - startedAt),
      vcpu_count: spec.limits.cpuCount,
      memory_mb: spec.limits.memoryMB,
    },
  };
}
