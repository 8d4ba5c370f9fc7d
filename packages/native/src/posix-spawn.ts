// Starts programs by posix_spawn(3), whose child shares this process's memory until it executes the program: a fork of a
// Node process, as Node's own spawn makes one, copies its page tables and costs many times as much, most of all under gVisor.
import type { Library, Native } from './koffi.ts';

export interface SpawnOptions {
  /** A name without a slash is looked for in this process's PATH. */
  readonly path: string;
  /** With the program's own name first. */
  readonly args: readonly string[];
  /** `NAME=value` each. */
  readonly environment: readonly string[];
  /** Default: that of this process. */
  readonly cwd?: string;
  readonly stdio: PipedStdio | TerminalStdio;
}

/** The program's ends of its pipes; without stdin it reads end-of-file. */
export interface PipedStdio {
  readonly stdin: number | undefined;
  readonly stdout: number;
  readonly stderr: number;
  /** Whether it stays in the process group of this process. Default: it leads one of its own. */
  readonly sameGroup?: boolean;
}

/** The program leads a session of its own, whose controlling terminal this device becomes. */
export interface TerminalStdio {
  readonly terminal: string;
}

/** More than any C library needs for one of them: glibc's attributes have 336 bytes, its actions 80. */
const STRUCTURE_BYTES = 512;
const POSIX_SPAWN_SETPGROUP = 0x02;
const POSIX_SPAWN_SETSIGDEF = 0x04;
const POSIX_SPAWN_SETSIGMASK = 0x08;
const POSIX_SPAWN_SETSID = 0x80;
/** Node ignores SIGPIPE, which its programs must not inherit. */
const ALL_SIGNALS = Buffer.alloc(128, 0xff);
const NO_SIGNALS = Buffer.alloc(128);
const O_RDONLY = 0;
const O_RDWR = 2;

export class PosixSpawn {
  readonly #spawn: Native;
  readonly #init: Native;
  readonly #destroy: Native;
  readonly #open: Native;
  readonly #dup2: Native;
  readonly #chdir: Native;
  readonly #ofPipes: Buffer;
  readonly #ofSameGroup: Buffer;
  readonly #ofTerminals: Buffer;

  constructor(library: Library) {
    const actions = 'posix_spawn_file_actions';
    this.#spawn = library.func(
      'int posix_spawnp(_Out_ int *pid, const char *path, const void *actions, const void *attributes, const char **args, const char **environment)',
    );
    this.#init = library.func(`int ${actions}_init(void *actions)`);
    this.#destroy = library.func(`int ${actions}_destroy(void *actions)`);
    this.#open = library.func(`int ${actions}_addopen(void *actions, int fd, const char *path, int flags, int mode)`);
    this.#dup2 = library.func(`int ${actions}_adddup2(void *actions, int from, int to)`);
    this.#chdir = library.func(`int ${actions}_addchdir_np(void *actions, const char *path)`);
    this.#ofPipes = attributes(library, POSIX_SPAWN_SETPGROUP);
    this.#ofSameGroup = attributes(library, 0);
    this.#ofTerminals = attributes(library, POSIX_SPAWN_SETSID);
  }

  /** The pid; or the error number, negative, of what failed: a descriptor, the directory, the program. */
  spawn({ path, args, environment, cwd, stdio }: SpawnOptions): number {
    const actions = Buffer.alloc(STRUCTURE_BYTES);
    const pid = [0];
    let error = this.#init(actions);
    if (error !== 0) return -error;
    try {
      if ('terminal' in stdio) {
        error ||= this.#open(actions, 0, stdio.terminal, O_RDWR, 0);
        error ||= this.#dup2(actions, 0, 1) || this.#dup2(actions, 0, 2);
      } else {
        error ||=
          stdio.stdin === undefined
            ? this.#open(actions, 0, '/dev/null', O_RDONLY, 0)
            : this.#dup2(actions, stdio.stdin, 0);
        error ||= this.#dup2(actions, stdio.stdout, 1) || this.#dup2(actions, stdio.stderr, 2);
      }
      if (cwd !== undefined) error ||= this.#chdir(actions, cwd);
      const kind = this.#kindOf(stdio);
      error ||= this.#spawn(pid, path, actions, kind, [...args, null], [...environment, null]);
    } finally {
      this.#destroy(actions);
    }
    return error === 0 ? pid[0]! : -error;
  }

  #kindOf(stdio: PipedStdio | TerminalStdio): Buffer {
    if ('terminal' in stdio) return this.#ofTerminals;
    return stdio.sameGroup ? this.#ofSameGroup : this.#ofPipes;
  }
}

function attributes(library: Library, flag: number): Buffer {
  const name = 'posix_spawnattr';
  const value = Buffer.alloc(STRUCTURE_BYTES);
  library.func(`int ${name}_init(void *attributes)`)(value);
  // A group of number 0 is a new one (setpgid(2)).
  library.func(`int ${name}_setpgroup(void *attributes, int group)`)(value, 0);
  library.func(`int ${name}_setsigdefault(void *attributes, const void *signals)`)(value, ALL_SIGNALS);
  library.func(`int ${name}_setsigmask(void *attributes, const void *signals)`)(value, NO_SIGNALS);
  const flags = flag | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK;
  library.func(`int ${name}_setflags(void *attributes, short flags)`)(value, flags);
  return value;
}
