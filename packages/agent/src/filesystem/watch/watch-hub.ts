// All watched directories of the agent, on one instance of inotify: a directory that several watchers ask for is one
// watch with several listeners.
import { ConnectError } from '../../connect/connect-error.ts';
import { Inotify, type InotifyEvent, InotifyInstance } from '../../native/inotify.ts';

/** As many as the hosted service allows (fs.inotify.max_user_watches there). */
const MAX_DIRECTORIES = 65_536;

const MASK =
  Inotify.modify |
  Inotify.attrib |
  Inotify.movedFrom |
  Inotify.movedTo |
  Inotify.create |
  Inotify.delete |
  Inotify.deleteSelf |
  Inotify.moveSelf |
  Inotify.onlyDirectory;

export interface WatchListener {
  onEvent(event: InotifyEvent): void;
  /** Events were lost, and nobody knows whose. */
  onOverflow(): void;
}

export class WatchHub {
  #instance: InotifyInstance | undefined;
  readonly #listeners = new Map<number, Set<WatchListener>>();

  /**
   * @param follow whether a symbolic link leads to what is watched
   * @returns the number under which its events come
   * @throws ConnectError `resource_exhausted` beyond what is allowed; Error with the system's code about the path
   */
  add(path: string, listener: WatchListener, follow: boolean): number {
    if (this.#listeners.size >= MAX_DIRECTORIES) {
      throw new ConnectError('resource_exhausted', `more than ${MAX_DIRECTORIES} directories are watched`);
    }
    let watch: number;
    try {
      this.#instance ??= new InotifyInstance(() => this.read());
      watch = this.#instance.add(path, follow ? MASK : MASK | Inotify.dontFollow);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'ENOSPC' || code === 'EMFILE' || code === 'ENOMEM') {
        throw new ConnectError('resource_exhausted', `the kernel allows no further watch (${code})`);
      }
      throw error;
    }
    const listeners = this.#listeners.get(watch);
    if (listeners === undefined) this.#listeners.set(watch, new Set([listener]));
    else listeners.add(listener);
    return watch;
  }

  remove(watch: number, listener: WatchListener): void {
    const listeners = this.#listeners.get(watch);
    if (!listeners?.delete(listener) || listeners.size > 0) return;
    this.#instance?.remove(watch);
    this.#forget(watch);
  }

  #forget(watch: number): void {
    this.#listeners.delete(watch);
    if (this.#listeners.size > 0) return;
    // An instance that nobody needs holds kernel memory.
    this.#instance?.close();
    this.#instance = undefined;
  }

  /** Hands over all that has happened until now. */
  read(): void {
    const instance = this.#instance;
    if (instance === undefined) return;
    for (let events = instance.read(); events.length > 0; events = instance.read()) {
      for (const event of events) {
        this.#deliver(event);
        // Another one gives its watches the same numbers.
        if (this.#instance !== instance) return;
      }
    }
  }

  #deliver(event: InotifyEvent): void {
    if ((event.mask & Inotify.overflow) !== 0) {
      const all = new Set([...this.#listeners.values()].flatMap((listeners) => [...listeners]));
      for (const listener of all) listener.onOverflow();
      return;
    }
    const listeners = this.#listeners.get(event.watch);
    if (listeners === undefined) return;
    for (const listener of [...listeners]) listener.onEvent(event);
    if ((event.mask & Inotify.ignored) !== 0) this.#forget(event.watch);
  }
}
