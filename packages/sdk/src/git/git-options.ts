// Options of sandbox.git.
import type { CommandStartOptions } from '../commands/commands.ts';

export type GitRequestOptions = Pick<CommandStartOptions, 'envs' | 'user' | 'cwd' | 'timeoutMs' | 'requestTimeoutMs'>;

/** A password needs a username. Git gets them for this one command; nothing of them is written to a file. */
export interface GitCredentials {
  readonly username?: string;
  /** A password or token. */
  readonly password?: string;
}

export interface GitCloneOptions extends GitRequestOptions, GitCredentials {
  /** Default: the last part of the URL, below the working directory. */
  readonly path?: string;
  readonly branch?: string;
  /** How many commits of the history. Default: all. */
  readonly depth?: number;
  /** Keeps the credentials in the URL of `origin`, readable by every program in the sandbox. Default: false. */
  readonly dangerouslyStoreCredentials?: boolean;
}

export interface GitInitOptions extends GitRequestOptions {
  readonly bare?: boolean;
  readonly initialBranch?: string;
}

export interface GitRemoteAddOptions extends GitRequestOptions {
  /** Fetches it afterwards. Default: false. */
  readonly fetch?: boolean;
  /** Changes the URL of a remote of this name, when there is one. Default: false, which is an error then. */
  readonly overwrite?: boolean;
}

export interface GitCommitOptions extends GitRequestOptions {
  readonly authorName?: string;
  readonly authorEmail?: string;
  readonly allowEmpty?: boolean;
}

export interface GitAddOptions extends GitRequestOptions {
  /** Default: every file, or with `all: false` those of the working directory. */
  readonly files?: string[];
  readonly all?: boolean;
}

export type GitResetMode = 'soft' | 'mixed' | 'hard' | 'merge' | 'keep';

export interface GitResetOptions extends GitRequestOptions {
  readonly mode?: GitResetMode;
  readonly target?: string;
  readonly paths?: string[];
}

export interface GitRestoreOptions extends GitRequestOptions {
  readonly paths: string[];
  /** Default: false. */
  readonly staged?: boolean;
  /** Default: true, and false with `staged`. */
  readonly worktree?: boolean;
  readonly source?: string;
}

export interface GitDeleteBranchOptions extends GitRequestOptions {
  /** Also one with commits that are nowhere else. Default: false. */
  readonly force?: boolean;
}

export interface GitPullOptions extends GitRequestOptions, GitCredentials {
  readonly remote?: string;
  readonly branch?: string;
}

export interface GitPushOptions extends GitPullOptions {
  /** Makes `remote` the branch's upstream. Default: true. */
  readonly setUpstream?: boolean;
}

export type GitConfigScope = 'global' | 'local' | 'system';

export interface GitConfigOptions extends GitRequestOptions {
  /** Default: global. */
  readonly scope?: GitConfigScope;
  /** The repository; needed with the scope `local`. */
  readonly path?: string;
}

export interface GitDangerouslyAuthenticateOptions extends GitRequestOptions {
  readonly username: string;
  readonly password: string;
  /** Default: github.com. */
  readonly host?: string;
  /** Default: https. */
  readonly protocol?: string;
}
