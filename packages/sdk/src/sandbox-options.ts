// Options of creating and connecting, and their form on the wire.
import type { CreateSandboxBody } from '@sandport/protocol/api';
import { type ConnectionOptions, checkMilliseconds } from './connection-config.ts';
import { lifecycleBody, type SandboxLifecycle } from './lifecycle-options.ts';
import { type NetworkOptions, networkBody } from './network-options.ts';
import { refuseUnsupported } from './unsupported-options.ts';

export interface SandboxOptions extends ConnectionOptions {
  /** Template ID or alias, or ID or name of a snapshot. Default `base`. */
  readonly template?: string | undefined;
  /** Life of the sandbox in milliseconds. Default 300 000. */
  readonly timeoutMs?: number | undefined;
  /** Pairs by which the list can be filtered. */
  readonly metadata?: Readonly<Record<string, string>> | undefined;
  /** Environment of every command. */
  readonly envs?: Readonly<Record<string, string>> | undefined;
  /** False: nothing outside may be reached from inside. Default true. */
  readonly allowInternetAccess?: boolean | undefined;
  readonly network?: NetworkOptions | undefined;
  /** Whether the agent asks for an access token. Default true. */
  readonly secure?: boolean | undefined;
  /** Whether it is paused or killed at its end time, and what wakes it. Default: killed. */
  readonly lifecycle?: SandboxLifecycle | undefined;
}

export interface SandboxPauseOptions extends ConnectionOptions {
  /** False: its files are kept, and its processes are not. Default true. */
  readonly keepMemory?: boolean | undefined;
}

export interface SandboxForkOptions extends ConnectionOptions {
  /** How many, 1 to 100. Default 1. */
  readonly count?: number | undefined;
  /** Life of each in milliseconds. Default 300 000. */
  readonly timeoutMs?: number | undefined;
}

export interface SnapshotOptions extends ConnectionOptions {
  /** Name with an optional `:tag`, for `Sandbox.create`; another snapshot that had it loses it. */
  readonly name?: string | undefined;
}

export interface SandboxConnectOptions extends ConnectionOptions {
  /** The end is moved to this many milliseconds from now if that is later. Default 300 000. */
  readonly timeoutMs?: number | undefined;
}

export const DEFAULT_TIMEOUT_MS = 300_000;
const DEFAULT_TEMPLATE = 'base';
const UNSUPPORTED = ['mcp', 'iam', 'volumeMounts'];

/** Throws an InvalidArgumentError on a `timeoutMs` that is none, and on options of `e2b` that there are not here. */
export function createBody(options: SandboxOptions): { [Name in keyof CreateSandboxBody]?: unknown } {
  refuseUnsupported('', options, UNSUPPORTED);
  return {
    templateID: options.template ?? DEFAULT_TEMPLATE,
    timeout: toSeconds(options.timeoutMs ?? DEFAULT_TIMEOUT_MS),
    secure: options.secure ?? true,
    metadata: options.metadata,
    envVars: options.envs,
    allow_internet_access: options.allowInternetAccess,
    network: options.network && networkBody(options.network),
    ...lifecycleBody(options.lifecycle),
  };
}

/** The API counts in whole seconds. Throws an InvalidArgumentError. */
export function toSeconds(timeoutMs: number): number {
  checkMilliseconds('timeoutMs', timeoutMs);
  return Math.ceil(timeoutMs / 1000);
}
