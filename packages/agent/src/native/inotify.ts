// inotify(7) itself. Node's fs.watch tells less: neither what happened nor to which of two directories of a name.
import { closeSync, readSync } from 'node:fs';
import { constants } from 'node:os';
import { loadKoffi, type Native } from '@sandport/native/koffi';

/** Bits of a watch's mask and of an event's (linux/inotify.h). */
export const Inotify = {
  modify: 0x2,
  attrib: 0x4,
  movedFrom: 0x40,
  movedTo: 0x80,
  create: 0x100,
  delete: 0x200,
  deleteSelf: 0x400,
  moveSelf: 0x800,
  /** Events were lost. */
  overflow: 0x4000,
  /** The watch is gone: its directory was removed or unmounted. */
  ignored: 0x8000,
  onlyDirectory: 0x0100_0000,
  dontFollow: 0x0200_0000,
  isDirectory: 0x4000_0000,
} as const;

export interface InotifyEvent {
  /** Which watch; -1 with `overflow`. */
  readonly watch: number;
  readonly mask: number;
  /** Of what is in the directory; empty when it is the directory itself. */
  readonly name: string;
}

const O_NONBLOCK = 0o4000;
const O_CLOEXEC = 0o2000000;
const O_ASYNC = 0o20000;
const F_SETFL = 4;
const F_SETOWN = 8;
const EVENT_BYTES = 16;
const BUFFER_BYTES = 64 * 1024;

const listeners = new Set<() => void>();
let listens = false;

export class InotifyInstance {
  readonly #descriptor: number;
  readonly #add: Native;
  readonly #remove: Native;
  readonly #errno: () => number;
  readonly #buffer = Buffer.alloc(BUFFER_BYTES);
  readonly #onReadable: () => void;

  /**
   * @param onReadable called when there may be something to read
   * @throws Error with the system's code: EMFILE when the machine allows no further instance
   */
  constructor(onReadable: () => void) {
    const koffi = loadKoffi();
    this.#errno = koffi.errno;
    const library = koffi.load(null);
    const init = library.func('int inotify_init1(int flags)');
    const fcntl = library.func('int fcntl(int descriptor, int command, long argument)');
    this.#add = library.func('int inotify_add_watch(int descriptor, const char *path, uint32_t mask)');
    this.#remove = library.func('int inotify_rm_watch(int descriptor, int watch)');
    this.#descriptor = this.#check('inotify_init1', init(O_NONBLOCK | O_CLOEXEC));
    this.#onReadable = onReadable;
    listenForSignal();
    listeners.add(onReadable);
    // Node can wait for no such descriptor, but for the signal that the kernel sends when it has something to read.
    this.#check('fcntl', fcntl(this.#descriptor, F_SETOWN, process.pid));
    this.#check('fcntl', fcntl(this.#descriptor, F_SETFL, O_NONBLOCK | O_ASYNC));
  }

  /**
   * The number of the watch; that of the one before when the directory has one.
   *
   * @throws Error with the system's code: ENOSPC when the machine allows no further watch
   */
  add(path: string, mask: number): number {
    return this.#check('inotify_add_watch', this.#add(this.#descriptor, path, mask));
  }

  remove(watch: number): void {
    this.#remove(this.#descriptor, watch);
  }

  /** What has happened, oldest first; empty when nothing has. */
  read(): InotifyEvent[] {
    let length: number;
    try {
      length = readSync(this.#descriptor, this.#buffer);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EAGAIN') return [];
      throw error;
    }
    const events: InotifyEvent[] = [];
    for (let at = 0; at < length; ) {
      const nameBytes = this.#buffer.readUInt32LE(at + 12);
      const name = this.#buffer.toString('utf8', at + EVENT_BYTES, at + EVENT_BYTES + nameBytes);
      const end = name.indexOf('\0');
      events.push({
        watch: this.#buffer.readInt32LE(at),
        mask: this.#buffer.readUInt32LE(at + 4),
        name: end === -1 ? name : name.slice(0, end),
      });
      at += EVENT_BYTES + nameBytes;
    }
    return events;
  }

  close(): void {
    listeners.delete(this.#onReadable);
    closeSync(this.#descriptor);
  }

  #check(call: string, result: number): number {
    if (result !== -1) return result;
    const errno = this.#errno();
    const [code] = Object.entries(constants.errno).find(([, number]) => number === errno) ?? [`E${errno}`];
    throw Object.assign(new Error(`${call} failed with ${code}`), { code });
  }
}

/** For good: without a listener the signal would end the process, and one may still be on its way after a close. */
function listenForSignal(): void {
  if (listens) return;
  listens = true;
  process.on('SIGIO', () => {
    for (const listener of listeners) listener();
  });
}
