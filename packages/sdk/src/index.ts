// What programs import from 'sandport'.
export { CommandHandle } from './commands/command-handle.ts';
export { CommandExitError, type CommandResult } from './commands/command-result.ts';
export type {
  CommandConnectOptions,
  CommandRequestOptions,
  CommandStartOptions,
  Commands,
  ProcessInfo,
} from './commands/commands.ts';
export type { ConnectionOptions } from './connection-config.ts';
export {
  AuthenticationError,
  InvalidArgumentError,
  NotEnoughSpaceError,
  NotFoundError,
  RateLimitError,
  SandboxError,
  SandboxNotFoundError,
  SandportError,
  TemplateError,
  TimeoutError,
} from './errors.ts';
export { ALL_TRAFFIC, type NetworkOptions, type NetworkUpdate } from './network-options.ts';
export { Sandbox, Sandbox as default, type SandboxConnectOptions, type SandboxOptions } from './sandbox.ts';
export type { SandboxInfo, SandboxState } from './sandbox-info.ts';
export { type SandboxListOptions, SandboxPaginator } from './sandbox-paginator.ts';
