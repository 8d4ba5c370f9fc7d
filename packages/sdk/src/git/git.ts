// Git repositories in a sandbox, by its own git.
import { CommandExitError, type CommandResult } from '../commands/command-result.ts';
import type { Commands } from '../commands/commands.ts';
import { InvalidArgumentError } from '../errors.ts';
import { remoteError, upstreamError } from './git-errors.ts';
import type {
  GitAddOptions,
  GitCloneOptions,
  GitCommitOptions,
  GitConfigOptions,
  GitCredentials,
  GitDangerouslyAuthenticateOptions,
  GitDeleteBranchOptions,
  GitInitOptions,
  GitPullOptions,
  GitPushOptions,
  GitRemoteAddOptions,
  GitRequestOptions,
  GitResetOptions,
  GitRestoreOptions,
} from './git-options.ts';
import { type GitBranches, type GitStatus, parseBranches, parseStatus } from './git-status.ts';

const RESET_MODES = ['soft', 'mixed', 'hard', 'merge', 'keep'];
const SCOPES = ['global', 'local', 'system'];
/** Answers git with the credentials in its environment, so that they are in no file and no list of processes. */
const HELPER =
  '!f() { test "$1" = get && printf "username=%s\\npassword=%s\\n" "$SANDPORT_GIT_USERNAME" "$SANDPORT_GIT_PASSWORD"; }; f';

/** Paths are those of the repository. A git that fails throws a `CommandExitError` with what it said. */
export class Git {
  readonly #commands: Commands;

  constructor(commands: Commands) {
    this.#commands = commands;
  }

  /** Throws a `GitAuthError` when the remote wants other credentials. */
  async clone(url: string, options: GitCloneOptions = {}): Promise<CommandResult> {
    const { path, branch, depth, dangerouslyStoreCredentials: store = false } = options;
    const credentials = credentialsOf('clone', options);
    const access = credentials === undefined || store ? NO_ACCESS : accessTo(url, credentials);
    const source = credentials !== undefined && store ? withCredentials(url, credentials) : url;
    const args = [...access.args, 'clone'];
    if (branch !== undefined) args.push('--branch', branch, '--single-branch');
    if (depth !== undefined) args.push('--depth', String(depth));
    args.push('--', source);
    if (path !== undefined) args.push(path);
    return this.#remotely('clone', () => this.#git(undefined, args, options, access.envs));
  }

  init(path: string, options: GitInitOptions = {}): Promise<CommandResult> {
    const args = ['init'];
    if (options.initialBranch !== undefined) args.push('--initial-branch', options.initialBranch);
    if (options.bare === true) args.push('--bare');
    return this.#git(undefined, [...args, '--', path], options);
  }

  async remoteAdd(path: string, name: string, url: string, options: GitRemoteAddOptions = {}): Promise<CommandResult> {
    if (name === '' || url === '') throw new InvalidArgumentError('a remote needs a name and a URL');
    const exists = options.overwrite === true && (await this.remoteGet(path, name, options)) !== undefined;
    const result = await this.#git(path, ['remote', exists ? 'set-url' : 'add', '--', name, url], options);
    if (options.fetch !== true) return result;
    return this.#remotely('fetch', () => this.#git(path, ['fetch', '--', name], options));
  }

  /** The URL of a remote; undefined when there is none of this name. */
  async remoteGet(path: string, name: string, options: GitRequestOptions = {}): Promise<string | undefined> {
    if (name === '') throw new InvalidArgumentError('the name of the remote is missing');
    return this.#ask(path, ['remote', 'get-url', '--', name], options);
  }

  async status(path: string, options: GitRequestOptions = {}): Promise<GitStatus> {
    return parseStatus((await this.#git(path, ['status', '--porcelain=2', '--branch', '-z'], options)).stdout);
  }

  async branches(path: string, options: GitRequestOptions = {}): Promise<GitBranches> {
    return parseBranches((await this.#git(path, ['branch', '--format=%(HEAD)%(refname:short)'], options)).stdout);
  }

  /** Makes a branch where the present one is, and changes to it. */
  createBranch(path: string, branch: string, options: GitRequestOptions = {}): Promise<CommandResult> {
    return this.#git(path, ['checkout', '-b', branch], options);
  }

  checkoutBranch(path: string, branch: string, options: GitRequestOptions = {}): Promise<CommandResult> {
    return this.#git(path, ['checkout', branch], options);
  }

  deleteBranch(path: string, branch: string, options: GitDeleteBranchOptions = {}): Promise<CommandResult> {
    return this.#git(path, ['branch', options.force === true ? '-D' : '-d', '--', branch], options);
  }

  add(path: string, options: GitAddOptions = {}): Promise<CommandResult> {
    const { files = [], all = true } = options;
    return this.#git(path, files.length > 0 ? ['add', '--', ...files] : ['add', all ? '-A' : '.'], options);
  }

  commit(path: string, message: string, options: GitCommitOptions = {}): Promise<CommandResult> {
    const args: string[] = [];
    if (options.authorName !== undefined) args.push('-c', `user.name=${options.authorName}`);
    if (options.authorEmail !== undefined) args.push('-c', `user.email=${options.authorEmail}`);
    args.push('commit', '-m', message);
    if (options.allowEmpty === true) args.push('--allow-empty');
    return this.#git(path, args, options);
  }

  async reset(path: string, options: GitResetOptions = {}): Promise<CommandResult> {
    const { mode, target, paths = [] } = options;
    if (mode !== undefined) assertOneOf('mode', mode, RESET_MODES);
    const args = ['reset'];
    if (mode !== undefined) args.push(`--${mode}`);
    if (target !== undefined) args.push(target);
    if (paths.length > 0) args.push('--', ...paths);
    return this.#git(path, args, options);
  }

  async restore(path: string, options: GitRestoreOptions): Promise<CommandResult> {
    const { paths, source, staged = false, worktree = !staged } = options;
    if (paths.length === 0) throw new InvalidArgumentError('give at least one path to restore');
    if (!staged && !worktree) throw new InvalidArgumentError('staged or worktree has to be true');
    const args = ['restore'];
    if (worktree) args.push('--worktree');
    if (staged) args.push('--staged');
    if (source !== undefined) args.push('--source', source);
    return this.#git(path, [...args, '--', ...paths], options);
  }

  /** Throws a `GitAuthError` or `GitUpstreamError`. */
  async push(path: string, options: GitPushOptions = {}): Promise<CommandResult> {
    const { remote, setUpstream = true } = options;
    const first = setUpstream && remote !== undefined ? ['push', '--set-upstream'] : ['push'];
    return this.#exchange('push', path, first, options);
  }

  /** Throws a `GitAuthError` or `GitUpstreamError`. */
  async pull(path: string, options: GitPullOptions = {}): Promise<CommandResult> {
    credentialsOf('pull', options);
    const upstream = ['rev-parse', '--abbrev-ref', '--symbolic-full-name', '@{u}'];
    if (options.remote === undefined && options.branch === undefined) {
      if ((await this.#ask(path, upstream, options)) === undefined) throw upstreamError('pull');
    }
    return this.#exchange('pull', path, ['pull'], options);
  }

  async setConfig(key: string, value: string, options: GitConfigOptions = {}): Promise<CommandResult> {
    const { path, scope } = configPlace(key, options);
    return this.#git(path, ['config', scope, key, value], options);
  }

  /** Undefined when it is not set. */
  async getConfig(key: string, options: GitConfigOptions = {}): Promise<string | undefined> {
    const { path, scope } = configPlace(key, options);
    return this.#ask(path, ['config', scope, '--get', key], options);
  }

  async configureUser(name: string, email: string, options: GitConfigOptions = {}): Promise<CommandResult> {
    if (name === '' || email === '') throw new InvalidArgumentError('give both a name and an email address');
    await this.setConfig('user.name', name, options);
    return this.setConfig('user.email', email, options);
  }

  /** Stores credentials for every later git command, readable by every program of the user. */
  async dangerouslyAuthenticate(options: GitDangerouslyAuthenticateOptions): Promise<CommandResult> {
    const { username, password, host = 'github.com', protocol = 'https' } = options;
    if (username === '' || password === '') throw new InvalidArgumentError('give both a username and a password');
    const fields = [protocol, host, username, password];
    // A line break would begin another field.
    if (fields.some((field) => /[\r\n\0]/.test(field))) {
      throw new InvalidArgumentError('protocol, host, username and password cannot have line breaks');
    }
    await this.setConfig('credential.helper', 'store', requestOptions(options));
    const envs = { ...options.envs, SANDPORT_GIT_USERNAME: username, SANDPORT_GIT_PASSWORD: password };
    const place = `protocol=${protocol}\nhost=${host}\n`;
    const input = `{ printf %s ${quote(place)}; printf 'username=%s\\npassword=%s\\n\\n' "$SANDPORT_GIT_USERNAME" "$SANDPORT_GIT_PASSWORD"; }`;
    return this.#commands.run(`${input} | git credential approve`, { ...requestOptions(options), envs });
  }

  async #exchange(action: string, path: string, first: string[], options: GitPullOptions): Promise<CommandResult> {
    const credentials = credentialsOf(action, options);
    const { branch } = options;
    let { remote } = options;
    let access = NO_ACCESS;
    if (credentials !== undefined) {
      remote ??= await this.#onlyRemote(path, options);
      const url = await this.remoteGet(path, remote, options);
      if (url === undefined) throw new InvalidArgumentError(`there is no remote '${remote}'`);
      access = accessTo(url, credentials);
    }
    const target = [...(remote === undefined ? [] : [remote]), ...(branch === undefined ? [] : [branch])];
    const args = [...access.args, ...first, ...target];
    return this.#remotely(action, () => this.#git(path, args, options, access.envs));
  }

  async #onlyRemote(path: string, options: GitRequestOptions): Promise<string> {
    const remotes = (await this.#git(path, ['remote'], options)).stdout.split('\n').filter((name) => name !== '');
    if (remotes.length === 1) return remotes[0]!;
    throw new InvalidArgumentError(
      remotes.length === 0 ? 'the repository has no remote' : 'the repository has several remotes: give `remote`',
    );
  }

  async #remotely(action: string, command: () => Promise<CommandResult>): Promise<CommandResult> {
    try {
      return await command();
    } catch (error) {
      throw remoteError(action, error);
    }
  }

  /** The line that git prints; undefined when it prints none, or fails. */
  async #ask(path: string | undefined, args: string[], options: GitRequestOptions): Promise<string | undefined> {
    try {
      const said = (await this.#git(path, args, options)).stdout.trim();
      return said === '' ? undefined : said;
    } catch (error) {
      if (error instanceof CommandExitError) return undefined;
      throw error;
    }
  }

  #git(
    path: string | undefined,
    args: readonly string[],
    options: GitRequestOptions,
    envs: Readonly<Record<string, string>> = {},
  ): Promise<CommandResult> {
    const words = ['git', ...(path === undefined ? [] : ['-C', path]), ...args];
    return this.#commands.run(words.map(quote).join(' '), {
      ...requestOptions(options),
      // What git says is read, so it speaks English; and nobody is there to be asked for a password.
      envs: { GIT_TERMINAL_PROMPT: '0', LC_ALL: 'C.UTF-8', ...options.envs, ...envs },
    });
  }
}

/** What lets one git command in at a remote. */
interface Access {
  readonly args: readonly string[];
  readonly envs: Readonly<Record<string, string>>;
}

const NO_ACCESS: Access = { args: [], envs: {} };

/** Only for the server of the URL: not for submodules or redirects that lead elsewhere. */
function accessTo(url: string, { username, password }: Required<GitCredentials>): Access {
  const { origin } = httpUrl(url);
  const key = `credential.${origin}.helper`;
  return {
    args: ['-c', `${key}=`, '-c', `${key}=${HELPER}`],
    envs: { SANDPORT_GIT_USERNAME: username, SANDPORT_GIT_PASSWORD: password },
  };
}

function withCredentials(url: string, { username, password }: Required<GitCredentials>): string {
  const parsed = httpUrl(url);
  parsed.username = encodeURIComponent(username);
  parsed.password = encodeURIComponent(password);
  return parsed.href;
}

function httpUrl(url: string): URL {
  const parsed = URL.parse(url);
  if (parsed !== null && /^https?:$/.test(parsed.protocol)) return parsed;
  throw new InvalidArgumentError('a username and password are of use for http and https URLs only');
}

function credentialsOf(action: string, { username, password }: GitCredentials): Required<GitCredentials> | undefined {
  // A username alone says nothing that a public repository needs.
  if (!password) return undefined;
  if (!username) throw new InvalidArgumentError(`git ${action} needs a username with the password`);
  if (/[\r\n\0]/.test(username + password)) {
    throw new InvalidArgumentError('username and password cannot have line breaks');
  }
  return { username, password };
}

function configPlace(key: string, { scope = 'global', path }: GitConfigOptions): { scope: string; path?: string } {
  if (key === '') throw new InvalidArgumentError('the key is missing');
  assertOneOf('scope', scope, SCOPES);
  if (scope !== 'local') return { scope: `--${scope}` };
  if (!path) throw new InvalidArgumentError('the scope local needs the path of a repository');
  return { scope: '--local', path };
}

function assertOneOf(name: string, value: string, allowed: readonly string[]): void {
  if (!allowed.includes(value)) throw new InvalidArgumentError(`${name} is '${value}'; expected ${allowed.join(', ')}`);
}

/** Those that the command gets; the rest are git's. */
function requestOptions({ envs, user, cwd, timeoutMs, requestTimeoutMs }: GitRequestOptions): GitRequestOptions {
  return {
    ...(envs !== undefined && { envs }),
    ...(user !== undefined && { user }),
    ...(cwd !== undefined && { cwd }),
    ...(timeoutMs !== undefined && { timeoutMs }),
    ...(requestTimeoutMs !== undefined && { requestTimeoutMs }),
  };
}

function quote(word: string): string {
  return /^[A-Za-z0-9_@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}
