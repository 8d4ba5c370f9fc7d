// The system calls behind starting a program that Node lacks: real pipes, terminals, a user with all of its groups, and
// waiting for processes that are not Node's own children.
import { type Library, loadKoffi, type Native } from '@sandport/native/koffi';
import { ProcessCalls } from '@sandport/native/process-calls';
import { systemError } from '@sandport/native/system-error';

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

/** XATTR_SIZE_MAX and XATTR_LIST_MAX (linux/limits.h). */
const MAX_ATTRIBUTE_BYTES = 65_536;
const MS_NOSUID = 2;
const MS_NODEV = 4;
const MS_NOEXEC = 8;

export class Libc extends ProcessCalls {
  readonly #numbers: { setgroups: number; setresuid: number; setresgid: number };
  readonly #errno: () => number;
  readonly #setIds: Native;
  readonly #setList: Native;
  readonly #ioctl: Native;
  readonly #mount: Native;
  readonly #mallocTrim: Native;
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
    super();
    this.#numbers = numbers;
    const koffi = loadKoffi();
    this.#errno = koffi.errno;
    const library: Library = koffi.load(null);
    this.#setIds = library.func('long syscall(long number, long real, long effective, long saved)');
    this.#setList = library.func('long syscall(long number, long count, const uint32_t *list)');
    this.#ioctl = library.func('int ioctl(int fd, unsigned long request, void *argument)');
    this.#listxattr = library.func('long listxattr(const char *path, void *list, size_t size)');
    this.#getxattr = library.func('long getxattr(const char *path, const char *name, void *value, size_t size)');
    this.#setxattr = library.func(
      'int setxattr(const char *path, const char *name, const void *value, size_t size, int flags)',
    );
    this.#removexattr = library.func('int removexattr(const char *path, const char *name)');
    this.#mount = library.func(
      'int mount(const char *source, const char *target, const char *type, unsigned long flags, const void *data)',
    );
    this.#mallocTrim = library.func('int malloc_trim(size_t pad)');
  }

  /** Mounts a new proc over the one there is: gVisor gives each a boot ID of its own. */
  mountProc(): void {
    this.#check('mount', this.#mount('proc', '/proc', 'proc', MS_NOSUID | MS_NODEV | MS_NOEXEC, null));
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

  /** A device's own operation (ioctl(2)), on bytes that it reads or writes. */
  control(descriptor: number, request: number, bytes: Buffer): void {
    this.#check('ioctl', this.#ioctl(descriptor, request, bytes));
  }

  /** Returns free memory of the C library's heap to the system. */
  trimHeap(): void {
    this.#mallocTrim(0);
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
    if (result !== 0) throw systemError(call, this.#errno());
  }
}
