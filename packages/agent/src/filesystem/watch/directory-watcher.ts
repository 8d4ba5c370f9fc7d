// Watches one directory, or the tree below it, and tells in order what happens there.
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { EntryInfo, EventType } from '@sandport/protocol/filesystem-rpc';
import { ConnectError } from '../../connect/connect-error.ts';
import { Inotify, type InotifyEvent } from '../../native/inotify.ts';
import type { WatchHub, WatchListener } from './watch-hub.ts';

export interface WatchEvent {
  /** Relative to the watched directory; `.` is the directory itself. */
  readonly name: string;
  readonly type: EventType;
  readonly entry?: EntryInfo;
}

export interface WatcherOptions {
  readonly path: string;
  readonly recursive: boolean;
  /** What is known of a file when something happened to it; without it events have no entry. */
  readonly describe?: (path: string) => Promise<EntryInfo>;
  /** The next event waits until it has returned. */
  readonly onEvent: (event: WatchEvent) => void | Promise<void>;
  /** No event follows: undefined when the directory is gone. */
  readonly onEnd: (error: ConnectError | undefined) => void;
}

/** Directories of one watcher. */
const MAX_DIRECTORIES = 20_000;
/** Events that wait for a slow client, or for their entry. */
const MAX_WAITING = 20_000;
const SELF = '.';

type Task = () => void | Promise<void>;

export class DirectoryWatcher implements WatchListener {
  readonly #hub: WatchHub;
  readonly #options: WatcherOptions;
  /** Relative paths of what is watched, by watch. */
  readonly #directories = new Map<number, string>();
  readonly #tasks: Task[] = [];
  /**
   * Names that were told because they were found, with the search that found them: the kernel's own word of them may
   * still be on its way.
   */
  readonly #found = new Map<string, symbol>();
  /** Watches of directories that were moved from where they were, and perhaps out of the tree. */
  readonly #movedAway = new Set<number>();
  #working = false;
  #closed = false;

  constructor(hub: WatchHub, options: WatcherOptions) {
    this.#hub = hub;
    this.#options = options;
  }

  /** Resolves when everything is watched. @throws ConnectError or an Error with the system's code; nothing is then watched */
  async open(): Promise<void> {
    try {
      this.#directories.set(this.#hub.add(this.#options.path, this, true), SELF);
      if (this.#options.recursive) await this.#watchBelow(SELF, false);
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /** No event is told after this. */
  close(): void {
    this.#closed = true;
    this.#tasks.length = 0;
    for (const watch of this.#directories.keys()) this.#hub.remove(watch, this);
    this.#directories.clear();
  }

  onOverflow(): void {
    this.#fail('more happened than the kernel keeps, and events were lost');
  }

  onEvent(event: InotifyEvent): void {
    // Which directory it was is known now; a move that waits in line may name it anew.
    this.#enqueue(() => this.#handle(event));
  }

  async #handle({ watch, mask, name }: InotifyEvent): Promise<void> {
    const directory = this.#directories.get(watch);
    if (directory === undefined || this.#movedAway.has(watch)) return;
    const path = name === '' ? directory : below(directory, name);
    const isRoot = path === SELF;
    if ((mask & Inotify.ignored) !== 0) {
      this.#directories.delete(watch);
      if (isRoot) this.#end(undefined);
      return;
    }
    // Of a directory in the tree its parent's watch tells the same.
    if (name === '' && !isRoot) return;
    const isDirectory = (mask & Inotify.isDirectory) !== 0;
    if (isDirectory && (mask & Inotify.movedFrom) !== 0) this.#moveAway(path);
    const type = eventType(mask);
    if (type === 'EVENT_TYPE_CREATE' && this.#found.delete(path)) return;
    if (type !== undefined) await this.#tell(path, type);
    if (isDirectory && this.#options.recursive && (mask & (Inotify.create | Inotify.movedTo)) !== 0) {
      // What was made in it before it was watched is news; what a moved directory brings along is not.
      await this.#adopt(path, (mask & Inotify.create) !== 0);
    }
  }

  async #tell(path: string, type: EventType): Promise<void> {
    const lasting = type !== 'EVENT_TYPE_REMOVE' && type !== 'EVENT_TYPE_RENAME';
    const { describe, onEvent } = this.#options;
    const entry = lasting ? await describe?.(join(this.#options.path, path)).catch(() => undefined) : undefined;
    if (this.#closed) return;
    await onEvent({ name: path, type, ...(entry !== undefined && { entry }) });
  }

  /** Watches a directory that has come into the tree, with all below it. */
  async #adopt(path: string, isNew: boolean): Promise<void> {
    try {
      this.#watch(path);
      await this.#watchBelow(path, isNew);
    } catch (error) {
      if (!isGone(error)) this.#fail(error instanceof ConnectError ? error.message : String(error));
    }
  }

  #watch(path: string): void {
    const watch = this.#hub.add(join(this.#options.path, path), this, false);
    this.#directories.set(watch, path);
    this.#movedAway.delete(watch);
    if (this.#directories.size > MAX_DIRECTORIES) {
      throw new ConnectError('resource_exhausted', `there are more than ${MAX_DIRECTORIES} directories to watch`);
    }
  }

  /** @param tell whether what is found is told as created */
  async #watchBelow(top: string, tell: boolean): Promise<void> {
    const open = [top];
    const search = Symbol();
    const found: string[] = [];
    for (let path = open.shift(); path !== undefined && !this.#closed; path = open.shift()) {
      const entries = await readdir(join(this.#options.path, path), { withFileTypes: true }).catch((error: unknown) => {
        if (isGone(error)) return [];
        throw error;
      });
      for (const entry of entries) {
        const child = below(path, entry.name);
        // Watched before it is read: what comes after that is an event of its own.
        if (entry.isDirectory() && this.#watchIfThere(child)) open.push(child);
        if (!tell || this.#closed) continue;
        found.push(child);
        this.#found.set(child, search);
        await this.#tell(child, 'EVENT_TYPE_CREATE');
      }
    }
    if (found.length === 0 || this.#closed) return;
    // Events of what was found are read by now, and stand in line before this.
    this.#hub.read();
    this.#enqueue(() => {
      for (const name of found) if (this.#found.get(name) === search) this.#found.delete(name);
    });
  }

  #watchIfThere(path: string): boolean {
    try {
      this.#watch(path);
      return true;
    } catch (error) {
      if (isGone(error)) return false;
      throw error;
    }
  }

  /** The other half of a move within the tree comes right behind the first, and finds a new path for the watches. */
  #moveAway(path: string): void {
    for (const [watch, directory] of this.#directories) {
      if (directory === path || directory.startsWith(`${path}/`)) this.#movedAway.add(watch);
    }
    if (this.#movedAway.size === 0) return;
    this.#enqueue(() => {
      for (const watch of this.#movedAway) {
        this.#directories.delete(watch);
        this.#hub.remove(watch, this);
      }
      this.#movedAway.clear();
    });
  }

  #enqueue(task: Task): void {
    if (this.#closed) return;
    if (this.#tasks.length >= MAX_WAITING) {
      this.#fail(`more than ${MAX_WAITING} events wait to be delivered`);
      return;
    }
    this.#tasks.push(task);
    if (!this.#working) void this.#work();
  }

  async #work(): Promise<void> {
    this.#working = true;
    for (let task = this.#tasks.shift(); task !== undefined; task = this.#tasks.shift()) {
      try {
        await task();
      } catch (error) {
        this.#end(ConnectError.from(error));
      }
    }
    this.#working = false;
  }

  #fail(message: string): void {
    this.#end(new ConnectError('resource_exhausted', `'${this.#options.path}' is no longer watched: ${message}`));
  }

  #end(error: ConnectError | undefined): void {
    if (this.#closed) return;
    this.close();
    this.#options.onEnd(error);
  }
}

function below(directory: string, name: string): string {
  return directory === SELF ? name : `${directory}/${name}`;
}

function eventType(mask: number): EventType | undefined {
  if ((mask & (Inotify.create | Inotify.movedTo)) !== 0) return 'EVENT_TYPE_CREATE';
  if ((mask & (Inotify.movedFrom | Inotify.moveSelf)) !== 0) return 'EVENT_TYPE_RENAME';
  if ((mask & Inotify.attrib) !== 0) return 'EVENT_TYPE_CHMOD';
  if ((mask & Inotify.modify) !== 0) return 'EVENT_TYPE_WRITE';
  if ((mask & (Inotify.delete | Inotify.deleteSelf)) !== 0) return 'EVENT_TYPE_REMOVE';
  return undefined;
}

/** Removed, or replaced by something else, since it was named. */
function isGone(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException;
  return code === 'ENOENT' || code === 'ENOTDIR' || code === 'ELOOP';
}
