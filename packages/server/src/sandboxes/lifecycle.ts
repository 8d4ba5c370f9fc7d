// What happens to a sandbox at its end time, and what wakes it afterwards.
import { SandportError } from '@sandport/protocol/errors';

export interface Lifecycle {
  readonly onTimeout: 'kill' | 'pause';
  /** Whether the pause at the end time keeps memory. */
  readonly keepMemory: boolean;
  /** Whether a request to a public URL wakes it. */
  readonly autoResume: boolean;
  /** Seconds that it lives after a request has woken it. */
  readonly resumeSeconds: number;
  /** Whether it goes on from its newest snapshot when it was lost with the machine. */
  readonly restoreWhenLost?: boolean;
}

export const KILL_AT_TIMEOUT: Lifecycle = {
  onTimeout: 'kill',
  keepMemory: true,
  autoResume: false,
  resumeSeconds: 300,
};

const LEAST_RESUME_SECONDS = 300;

export interface LifecycleRequest {
  readonly pauseAtTimeout: boolean;
  readonly keepMemory: boolean | undefined;
  readonly autoResume: boolean;
  readonly restoreWhenLost: boolean;
}

/**
 * @param keepsMemory whether this server's runtime does
 * @throws SandportError `bad_request` for a combination that cannot be; `not_supported` for one that is not offered here
 */
export function lifecycleOf(request: LifecycleRequest, timeoutSeconds: number, keepsMemory: boolean): Lifecycle {
  const { pauseAtTimeout, autoResume, restoreWhenLost } = request;
  const more = restoreWhenLost ? { restoreWhenLost } : {};
  if (restoreWhenLost) assertKeepable(true, keepsMemory);
  if (!pauseAtTimeout) {
    if (autoResume) throw new SandportError('bad_request', 'autoResume needs autoPause: true');
    if (request.keepMemory !== undefined) {
      throw new SandportError('bad_request', 'autoPauseMemory is only allowed with autoPause: true');
    }
    return { ...KILL_AT_TIMEOUT, ...more };
  }
  const keepMemory = request.keepMemory ?? true;
  if (!keepMemory && autoResume) {
    throw new SandportError('bad_request', 'autoResume cannot be combined with autoPauseMemory: false');
  }
  assertKeepable(keepMemory, keepsMemory);
  return {
    onTimeout: 'pause',
    keepMemory,
    autoResume,
    resumeSeconds: Math.max(timeoutSeconds, LEAST_RESUME_SECONDS),
    ...more,
  };
}

/** Throws `not_supported` for what a runtime cannot keep, before anything of the sandbox is touched. */
export function assertKeepable(keepMemory: boolean, keepsMemory: boolean): void {
  if (!keepMemory || keepsMemory) return;
  throw new SandportError(
    'not_supported',
    'runc cannot keep the memory of a sandbox: pause it with keepMemory: false, or start Sandport with --runtime runsc',
  );
}
