// The system calls behind starting a program that Node lacks: real pipes, a user with all of its groups, and waiting
// for processes that are not Node's own children.
import { type Library, loadKoffi, type Native } from './koffi.ts';

export interface Identity {
  readonly uid: number;
  readonly gid: number;
  readonly groups: readonly number[];
}

/** Raw numbers, because the C library's functions change every thread of the process. */
const NUMBERS: Readonly<Record<string, { setgroups: number; setresuid: number; setresgid: number }>> = {
  x64: { setgroups: 116, setresuid: 117, setresgid: 119 },
  arm64: { setgroups: 159, setresuid: 147, setresgid: 149 },
};

const O_CLOEXEC = 0o2000000;
/** XATTR_SIZE_MAX and XATTR_LIST_MAX (linux/limits.h). */
const MAX_ATTRIBUTE_BYTES = 65_536;
const P_ALL = 0;
const WNOHANG = 1;
const WEXITED = 4;
const WNOWAIT = 0x0100_0000;
/** Size of siginfo_t, and where its si_pid stands, on every 64-bit Linux. */
const SIGINFO_BYTES = 128;
const SI_PID_OFFSET = 16;

export class Libc {
  readonly #numbers: { setgroups: number; setresuid: number; setresgid: number };
  readonly #errno: () => number;
  readonly #pipe2: Native;
  readonly #setIds: Native;
  readonly #setList: Native;
  readonly #waitid: Native;
  readonly #waitpid: Native;
  readonly #listxattr: Native;
  readonly #getxattr: Native;
  readonly #setxattr: Native;
  readonly #removexattr: Native;
  readonly #attribute = Buffer.alloc(MAX_ATTRIBUTE_BYTES);
  /** The agent's own. */
  readonly #groups = new Uint32Array(process.getgroups?.() ?? []);

  /** @throws Error on a platform without koffi */
  constructor() {
    const numbers = NUMBERS[process.arch];
    if (numbers === undefined) throw new Error(`no system call numbers for ${process.arch}`);
    this.#numbers = numbers;
    const koffi = loadKoffi();
    this.#errno = koffi.errno;
    const library: Library = koffi.load(null);
    this.#pipe2 = library.func('int pipe2(_Out_ int *ends, int flags)');
    this.#setIds = library.func('long syscall(long number, long real, long effective, long saved)');
    this.#setList = library.func('long syscall(long number, long count, const uint32_t *list)');
    this.#waitid = library.func('int waitid(int type, uint32_t id, void *info, int options)');
    this.#listxattr = library.func('long listxattr(const char *path, void *list, size_t size)');
    this.#getxattr = library.func('long getxattr(const char *path, const char *name, void *value, size_t size)');
    this.#setxattr = library.func(
      'int setxattr(const char *path, const char *name, const void *value, size_t size, int flags)',
    );
    this.#removexattr = library.func('int removexattr(const char *path, const char *name)');
    this.#waitpid = library.func('int waitpid(int pid, void *status, int options)');
  }

  /** A pipe as its two descriptors. Node's own are socket pairs, which a program cannot open through /dev/stdout. */
  pipe(): { readonly read: number; readonly write: number } {
    const ends = [-1, -1];
    this.#check('pipe2', this.#pipe2(ends, O_CLOEXEC));
    return { read: ends[0]!, write: ends[1]! };
  }

  /**
   * Runs `action`, which must be synchronous, as that user: what it opens is the user's, what it starts is the user
   * for good, since exec takes the effective ID as the saved one. Credentials belong to a thread (credentials(7)), and
   * only this thread changes them: file operations of Node's thread pool go on as root.
   */
  actAs<Result>(identity: Identity, action: () => Result): Result {
    const { setgroups, setresuid, setresgid } = this.#numbers;
    const groups = new Uint32Array([identity.gid, ...identity.groups]);
    try {
      this.#check('setgroups', this.#setList(setgroups, groups.length, groups));
      this.#check('setresgid', this.#setIds(setresgid, identity.gid, identity.gid, 0));
      this.#check('setresuid', this.#setIds(setresuid, identity.uid, identity.uid, 0));
      return action();
    } finally {
      const restored =
        this.#setIds(setresuid, 0, 0, 0) === 0 &&
        this.#setIds(setresgid, 0, 0, 0) === 0 &&
        this.#setList(setgroups, this.#groups.length, this.#groups) === 0;
      // Going on as a half-changed user would be worse than ending.
      if (!restored) process.abort();
    }
  }

  /** The pid of some child that has ended and is not waited for yet. */
  endedChild(): number | undefined {
    const info = Buffer.alloc(SIGINFO_BYTES);
    if (this.#waitid(P_ALL, 0, info, WEXITED | WNOHANG | WNOWAIT) !== 0) return undefined;
    return info.readInt32LE(SI_PID_OFFSET) || undefined;
  }

  /** Waits for one child that has ended. */
  reap(pid: number): void {
    this.#waitpid(pid, null, WNOHANG);
  }

  /** Names of a file's extended attributes; none where the file system has no such thing. */
  listAttributes(path: string): string[] {
    const list = this.#attribute;
    const length = Number(this.#listxattr(path, list, list.length));
    return length <= 0
      ? []
      : list
          .toString('utf8', 0, length)
          .split('\0')
          .filter((name) => name !== '');
  }

  getAttribute(path: string, name: string): string | undefined {
    const value = this.#attribute;
    const length = Number(this.#getxattr(path, name, value, value.length));
    return length < 0 ? undefined : value.toString('utf8', 0, length);
  }

  /** Whether it was set. */
  setAttribute(path: string, name: string, value: string): boolean {
    const bytes = Buffer.from(value);
    return this.#setxattr(path, name, bytes, bytes.length, 0) === 0;
  }

  removeAttribute(path: string, name: string): void {
    this.#removexattr(path, name);
  }

  #check(call: string, result: number): void {
    if (result === 0) return;
    const errno = this.#errno();
    throw Object.assign(new Error(`${call} failed with error ${errno}`), { code: errnoNames[errno] ?? `E${errno}` });
  }
}

const errnoNames: Readonly<Record<number, string>> = {
  1: 'EPERM',
  12: 'ENOMEM',
  22: 'EINVAL',
  23: 'ENFILE',
  24: 'EMFILE',
};
