// What git says when it fails, told apart.
import { CommandExitError } from '../commands/command-result.ts';
import { AuthenticationError, SandboxError } from '../errors.ts';

/** A remote asked for credentials, or refused those given. */
export class GitAuthError extends AuthenticationError {
  override name = 'GitAuthError';
}

/** The branch has no upstream, and none was named. */
export class GitUpstreamError extends SandboxError {
  override name = 'GitUpstreamError';
}

const AUTHENTICATION =
  /authentication failed|terminal prompts disabled|could not read (username|password)|invalid (username|credentials)|access denied|permission denied|not authorized/i;
const UPSTREAM =
  /no upstream|no tracking information|set the remote as upstream|no configured push destination|specify which branch you want to merge with/i;

/** The error for a git command that speaks to a remote. */
export function remoteError(action: string, error: unknown): unknown {
  if (!(error instanceof CommandExitError)) return error;
  const said = `${error.stderr}\n${error.stdout}`;
  if (AUTHENTICATION.test(said)) {
    return new GitAuthError(
      `git ${action} was refused: give a username and a password or token that the remote accepts`,
      {
        cause: error,
      },
    );
  }
  if (UPSTREAM.test(said)) return upstreamError(action, error);
  return error;
}

export function upstreamError(action: string, cause?: unknown): GitUpstreamError {
  const message = `git ${action} has nowhere to go to: the branch has no upstream. Give \`remote\` and \`branch\``;
  return new GitUpstreamError(message, { cause });
}
