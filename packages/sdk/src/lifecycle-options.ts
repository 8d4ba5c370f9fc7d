// What happens to a sandbox at its end time, and what wakes it afterwards.
import { InvalidArgumentError } from './errors.ts';

export type OnTimeout =
  | 'kill'
  | 'pause'
  | { readonly action: 'kill' }
  | {
      readonly action: 'pause';
      /** False: its files are kept, and its processes are not. Default true. */
      readonly keepMemory?: boolean | undefined;
    };

export interface SandboxLifecycle {
  /** At the end time. Default `kill`. */
  readonly onTimeout?: OnTimeout | undefined;
  /** Whether a request to a public URL resumes it. Default false. */
  readonly autoResume?: boolean | undefined;
  /**
   * Whether it goes on from its newest snapshot (`createSnapshot`) when the machine was restarted while it ran; what
   * happened after the snapshot is then gone. Without one, or without this, it has ended. Default false.
   */
  readonly restoreWhenLost?: boolean | undefined;
}

/** The form on the wire. Throws an InvalidArgumentError on what contradicts itself. */
export function lifecycleBody(lifecycle: SandboxLifecycle | undefined): {
  autoPause?: boolean;
  autoPauseMemory?: boolean;
  autoResume?: { enabled: boolean };
  restoreWhenLost?: boolean;
} {
  if (lifecycle === undefined) return {};
  const { onTimeout = 'kill', autoResume, restoreWhenLost } = lifecycle;
  const { action, keepMemory } =
    typeof onTimeout === 'string'
      ? { action: onTimeout, keepMemory: undefined }
      : { keepMemory: undefined, ...onTimeout };
  if (action !== 'kill' && action !== 'pause') {
    throw new InvalidArgumentError(`lifecycle.onTimeout is ${JSON.stringify(action)}; expected "pause" or "kill"`);
  }
  if (action === 'kill' && (autoResume || keepMemory !== undefined)) {
    throw new InvalidArgumentError('lifecycle.autoResume and keepMemory need onTimeout to be "pause"');
  }
  if (keepMemory === false && autoResume) {
    throw new InvalidArgumentError('lifecycle.autoResume needs the memory: leave keepMemory out');
  }
  return {
    autoPause: action === 'pause',
    ...(keepMemory !== undefined && { autoPauseMemory: keepMemory }),
    ...(autoResume !== undefined && { autoResume: { enabled: autoResume } }),
    ...(restoreWhenLost !== undefined && { restoreWhenLost }),
  };
}
