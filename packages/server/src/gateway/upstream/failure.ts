import type { Refusal } from '../answers/refusal.ts';
import type { UpstreamFailure } from './response-sink.ts';
import type { UpstreamTarget } from './upstream.ts';

/** What a client is told when no response came. */
export function failureRefusal(failure: UpstreamFailure, target: UpstreamTarget): Refusal {
  if (target.kind === 'service') return { code: 'api_unavailable' };
  if (failure === 'refused') return { code: 'port_closed', sandboxId: target.sandboxId, port: target.port };
  return { code: 'upstream_failed' };
}
