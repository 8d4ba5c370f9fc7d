// What programs import from 'sandport'. Types bear the names of the `e2b` client too, so that changing the import is
// all that a program needs.
export { CommandHandle, type OutputListeners } from './commands/command-handle.ts';
export { CommandExitError, type CommandResult } from './commands/command-result.ts';
export type {
  CommandConnectOptions,
  CommandConnectOptions as CommandConnectOpts,
  CommandRequestOptions,
  CommandRequestOptions as CommandRequestOpts,
  CommandStartOptions,
  CommandStartOptions as CommandStartOpts,
  Commands,
  ProcessInfo,
} from './commands/commands.ts';
export {
  ConnectionConfig,
  type ConnectionOptions,
  type ConnectionOptions as ConnectionOpts,
} from './connection-config.ts';
export {
  AuthenticationError,
  FileNotFoundError,
  InvalidArgumentError,
  NotEnoughSpaceError,
  NotFoundError,
  RateLimitError,
  SandboxError,
  SandboxNotFoundError,
  SandportError,
  ServiceBusyError,
  TemplateError,
  TimeoutError,
} from './errors.ts';
export type { EventListOptions, LifecycleEvent, LifecycleEventType } from './events.ts';
export { type EntryInfo, FileType, type WriteInfo } from './files/entry-info.ts';
export type {
  FileContent,
  FileListOptions,
  FileListOptions as FilesystemListOpts,
  FileReadOptions,
  FileReadOptions as FilesystemReadOpts,
  FileRequestOptions,
  FileRequestOptions as FilesystemRequestOpts,
  FileToWrite,
  FileToWrite as WriteEntry,
  FileWriteOptions,
  FileWriteOptions as FilesystemWriteOpts,
} from './files/file-options.ts';
export type { FileUrlOptions, FileUrlOptions as SandboxUrlOpts } from './files/file-url.ts';
export type { Files, Files as Filesystem } from './files/files.ts';
export type { WatchOptions, WatchOptions as WatchOpts } from './files/watch.ts';
export { type FilesystemEvent, FilesystemEventType } from './files/watch-events.ts';
export { WatchHandle } from './files/watch-handle.ts';
export type { Git } from './git/git.ts';
export { GitAuthError, GitUpstreamError } from './git/git-errors.ts';
export type {
  GitAddOptions,
  GitAddOptions as GitAddOpts,
  GitCloneOptions,
  GitCloneOptions as GitCloneOpts,
  GitCommitOptions,
  GitCommitOptions as GitCommitOpts,
  GitConfigOptions,
  GitConfigOptions as GitConfigOpts,
  GitConfigScope,
  GitDangerouslyAuthenticateOptions,
  GitDangerouslyAuthenticateOptions as GitDangerouslyAuthenticateOpts,
  GitDeleteBranchOptions,
  GitDeleteBranchOptions as GitDeleteBranchOpts,
  GitInitOptions,
  GitInitOptions as GitInitOpts,
  GitPullOptions,
  GitPullOptions as GitPullOpts,
  GitPushOptions,
  GitPushOptions as GitPushOpts,
  GitRemoteAddOptions,
  GitRemoteAddOptions as GitRemoteAddOpts,
  GitRequestOptions,
  GitRequestOptions as GitRequestOpts,
  GitResetMode,
  GitResetOptions,
  GitResetOptions as GitResetOpts,
  GitRestoreOptions,
  GitRestoreOptions as GitRestoreOpts,
} from './git/git-options.ts';
export type { GitBranches, GitFileStatus, GitStatus, GitStatusLabel } from './git/git-status.ts';
export type { OnTimeout, OnTimeout as SandboxOnTimeout, SandboxLifecycle } from './lifecycle-options.ts';
export type { SandboxLogEntry, SandboxLogLevel, SandboxLogOptions } from './logs.ts';
export type { SandboxMetrics, SandboxMetricsOptions, SandboxMetricsOptions as SandboxMetricsOpts } from './metrics.ts';
export {
  ALL_TRAFFIC,
  type EgressProxy,
  type NetworkOptions,
  type NetworkOptions as SandboxNetworkOpts,
  type NetworkRule,
  type NetworkRules,
  type NetworkSelector,
  type NetworkSelector as SandboxNetworkSelector,
  type NetworkUpdate,
  type NetworkUpdate as SandboxNetworkUpdate,
} from './network-options.ts';
export { PortSubscription } from './ports/port-subscription.ts';
export type { PortInfo, PortListenOptions, Ports, PortWaitOptions } from './ports/ports.ts';
export type {
  Pty,
  PtyConnectOptions,
  PtyConnectOptions as PtyConnectOpts,
  PtyCreateOptions,
  PtyCreateOptions as PtyCreateOpts,
  PtySize,
} from './pty/pty.ts';
export { Sandbox, Sandbox as default } from './sandbox.ts';
export type { SandboxInfo, SandboxState } from './sandbox-info.ts';
export type {
  SandboxConnectOptions,
  SandboxConnectOptions as SandboxConnectOpts,
  SandboxForkOptions,
  SandboxForkOptions as SandboxForkOpts,
  SandboxOptions,
  SandboxOptions as SandboxOpts,
  SandboxPauseOptions,
  SandboxPauseOptions as SandboxPauseOpts,
  SnapshotOptions,
  SnapshotOptions as CreateSnapshotOpts,
} from './sandbox-options.ts';
export {
  type SandboxListOptions,
  type SandboxListOptions as SandboxListOpts,
  SandboxPaginator,
} from './sandbox-paginator.ts';
export type { SignedUrlOptions } from './signed-url.ts';
export {
  type SnapshotInfo,
  type SnapshotListOptions,
  type SnapshotListOptions as SnapshotListOpts,
  SnapshotPaginator,
} from './snapshots.ts';
