// Starts to watch a directory.
import { FILESYSTEM_SERVICE } from '@sandport/protocol/filesystem-rpc';
import type { AgentClient } from '../agent-client.ts';
import { type ConnectionConfig, checkMilliseconds } from '../connection-config.ts';
import { SandboxError } from '../errors.ts';
import { StreamLife } from '../stream-life.ts';
import type { FileRequestOptions } from './file-options.ts';
import type { FilesystemEvent, WatchMessage } from './watch-events.ts';
import { WatchHandle, type WatchListeners } from './watch-handle.ts';

export interface WatchOptions extends FileRequestOptions, Pick<WatchListeners, 'onExit'> {
  /** How long to watch, in milliseconds; 0 for no limit. Default 60 000. */
  readonly timeoutMs?: number | undefined;
  /** Whether the directories in it are watched too, also those made later. Default false. */
  readonly recursive?: boolean | undefined;
  /** Whether events say what is known of their file. Default false. */
  readonly includeEntry?: boolean | undefined;
  /** Whether a directory on a network file system may be watched, which can miss events. Default false. */
  readonly allowNetworkMounts?: boolean | undefined;
}

const DEFAULT_TIMEOUT_MS = 60_000;
/** How much later than the agent this side ends a watch. */
const GRACE_MS = 2000;

export async function watch(
  agent: AgentClient,
  config: ConnectionConfig,
  path: string,
  onEvent: (event: FilesystemEvent) => void | Promise<void>,
  options: WatchOptions,
): Promise<WatchHandle> {
  const { timeoutMs = DEFAULT_TIMEOUT_MS, requestTimeoutMs = config.requestTimeoutMs, user, onExit } = options;
  checkMilliseconds('timeoutMs', timeoutMs);
  checkMilliseconds('requestTimeoutMs', requestTimeoutMs);
  const { recursive = false, includeEntry = false, allowNetworkMounts = false } = options;
  const request = { path, recursive, includeEntry, allowNetworkMounts };
  const life = new StreamLife(options.signal);
  life.limit(requestTimeoutMs, 'the watch did not start within requestTimeoutMs');
  const call = { user, signal: life.signal, timeoutMs };
  const messages = agent.stream<object, WatchMessage>(`${FILESYSTEM_SERVICE}/WatchDir`, request, call);
  try {
    const first = await messages.next();
    if (first.done || first.value.start === undefined) {
      throw new SandboxError('the agent did not say that it watches');
    }
    life.limit(timeoutMs > 0 ? timeoutMs + GRACE_MS : 0, 'the watch has reached its timeoutMs');
    return new WatchHandle(messages, { onEvent, onExit }, () => life.end());
  } catch (error) {
    life.end();
    throw error;
  }
}
