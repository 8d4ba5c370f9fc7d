// What a webhook is sent. The official service writes the names in snake case, its documentation shows them in camel case:
// receivers are written for either, so both are there.
import { createHash } from 'node:crypto';
import { TEAM_ID } from '@sandport/protocol/api';
import { type EventKind, eventType, type LifecycleEvent } from './lifecycle-event.ts';

const VERSION = 'v2';
const LABELS: Readonly<Record<EventKind, string>> = {
  created: 'create',
  updated: 'update',
  paused: 'pause',
  resumed: 'resume',
  checkpointed: 'checkpoint',
  killed: 'kill',
};

/** As the API answers it, too. */
export interface EventBody {
  readonly id: string;
  readonly version: string;
  readonly type: string;
  readonly timestamp: string;
  readonly eventCategory: string;
  readonly eventLabel: string;
  readonly eventData: Readonly<Record<string, unknown>> | null;
  readonly sandboxId: string;
  readonly sandboxExecutionId: string;
  readonly sandboxTemplateId: string;
  readonly sandboxBuildId: string;
  readonly sandboxTeamId: string;
}

export function eventBody(event: LifecycleEvent): EventBody {
  return {
    id: event.id,
    version: VERSION,
    type: eventType(event.kind),
    timestamp: new Date(event.at).toISOString(),
    eventCategory: 'lifecycle',
    eventLabel: LABELS[event.kind],
    eventData: Object.keys(event.data).length === 0 ? null : event.data,
    sandboxId: event.sandboxId,
    sandboxExecutionId: event.executionId,
    sandboxTemplateId: event.templateId,
    // Templates have one build.
    sandboxBuildId: event.templateId,
    sandboxTeamId: TEAM_ID,
  };
}

export function webhookBody(event: LifecycleEvent): string {
  const body = eventBody(event);
  const inSnakeCase = Object.entries(body).map(([name, value]) => [
    name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`),
    value,
  ]);
  return JSON.stringify({ ...body, ...Object.fromEntries(inSnakeCase) });
}

/** The form of the official service: SHA-256 of secret and body, in Base64 without padding. */
export function webhookSignature(secret: string, body: string): string {
  return createHash('sha256').update(secret).update(body).digest('base64').replace(/=+$/, '');
}
