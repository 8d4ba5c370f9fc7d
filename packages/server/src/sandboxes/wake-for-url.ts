// What a request to a public URL is told when its paused sandbox could not be resumed for it.
import { SandportError } from '@sandport/protocol/errors';
import type { WakeFailure } from '@sandport/protocol/routes';
import type { Sandboxes } from './sandboxes.ts';

export async function wakeForUrl(sandboxes: Sandboxes, sandboxId: string): Promise<WakeFailure | undefined> {
  try {
    await sandboxes.wake(sandboxId);
    return undefined;
  } catch (error) {
    const code = error instanceof SandportError ? error.code : undefined;
    if (code === 'sandbox_not_found') return 'url_sandbox_not_found';
    if (code === 'capacity_exhausted') return 'url_machine_full';
    return code === 'too_many_sandboxes' ? 'url_too_many_sandboxes' : 'url_wake_failed';
  }
}
