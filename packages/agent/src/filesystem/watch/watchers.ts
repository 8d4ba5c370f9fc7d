// The watchers of the agent, in their two forms: one that streams to its client, and one that collects until asked.
import { randomBytes } from 'node:crypto';
import type { EntryInfo, FilesystemEvent } from '@sandport/protocol/filesystem-rpc';
import { ConnectError } from '../../connect/connect-error.ts';
import type { MessageStream } from '../../connect/message-stream.ts';
import { DirectoryWatcher } from './directory-watcher.ts';
import { WatchHub } from './watch-hub.ts';
import type { WatchWish } from './watch-request.ts';

/** Of both forms together. */
const MAX_WATCHERS = 1000;
/** Events that one watcher collects. */
const MAX_COLLECTED = 10_000;
/** A collecting watcher whose client has not asked for that long has no client. */
const ABANDONED_MS = 60 * 60_000;

export type Describe = (path: string) => Promise<EntryInfo>;

export interface StreamingCall {
  readonly timeoutMs: number | undefined;
  readonly keepaliveMs: number;
}

interface Collector {
  readonly watcher: DirectoryWatcher;
  events: FilesystemEvent[];
  failure: ConnectError | undefined;
  readonly abandoned: NodeJS.Timeout;
}

export class Watchers {
  readonly #hub = new WatchHub();
  readonly #collectors = new Map<string, Collector>();
  #open = 0;

  /** Streams events until the client is gone, its time is over, or the directory is. */
  async stream(wish: WatchWish, describe: Describe, call: StreamingCall, stream: MessageStream): Promise<void> {
    const watcher = await this.#watch(wish, describe, {
      onEvent: async (event) => {
        stream.send({ filesystem: event });
        if (!stream.writable) await drained(stream);
      },
      onEnd: (error) => stream.end(error),
      // Before the first event, and as soon as no event can be missed.
      onOpen: () => stream.send({ start: {} }),
    });
    const { timeoutMs } = call;
    const timer =
      timeoutMs === undefined
        ? undefined
        : setTimeout(() => {
            stream.end(new ConnectError('deadline_exceeded', `the watch has lasted ${timeoutMs} ms`));
          }, timeoutMs);
    stream.keepAlive(call.keepaliveMs, { keepalive: {} });
    stream.onClose(() => {
      clearTimeout(timer);
      this.#close(watcher);
    });
  }

  /** Starts to collect events, and returns the name to ask for them by. */
  async create(wish: WatchWish, describe: Describe): Promise<string> {
    const id = `w${randomBytes(10).toString('hex')}`;
    let collector: Collector | undefined;
    const early: FilesystemEvent[] = [];
    const watcher = await this.#watch(wish, describe, {
      onEvent: (event) => {
        const events = collector?.events ?? early;
        if (events.length < MAX_COLLECTED) events.push(event);
        else if (collector !== undefined) collector.failure ??= tooMany();
      },
      onEnd: (error) => {
        if (collector !== undefined) collector.failure ??= error;
      },
      onOpen: () => {},
    });
    const abandoned = setTimeout(() => this.remove(id), ABANDONED_MS).unref();
    collector = { watcher, events: early, failure: undefined, abandoned };
    this.#collectors.set(id, collector);
    return id;
  }

  /** What has been collected since the last time. @throws ConnectError `not_found`, or `resource_exhausted` once events were lost */
  take(id: string): FilesystemEvent[] {
    const collector = this.#find(id);
    collector.abandoned.refresh();
    const { events, failure } = collector;
    collector.events = [];
    collector.failure = undefined;
    if (failure !== undefined) throw failure;
    return events;
  }

  /** @throws ConnectError `not_found` */
  remove(id: string): void {
    const { watcher, abandoned } = this.#find(id);
    clearTimeout(abandoned);
    this.#collectors.delete(id);
    this.#close(watcher);
  }

  #find(id: string): Collector {
    const collector = this.#collectors.get(id);
    if (collector === undefined) throw new ConnectError('not_found', `there is no watcher '${id}'`);
    return collector;
  }

  async #watch(
    { path, recursive, includeEntry }: WatchWish,
    describe: Describe,
    listeners: {
      onEvent(event: FilesystemEvent): void | Promise<void>;
      onEnd(error: ConnectError | undefined): void;
      onOpen(): void;
    },
  ): Promise<DirectoryWatcher> {
    if (this.#open >= MAX_WATCHERS) {
      throw new ConnectError('resource_exhausted', `there are ${MAX_WATCHERS} watchers already`);
    }
    this.#open++;
    const opened = Promise.withResolvers<void>();
    const watcher = new DirectoryWatcher(this.#hub, {
      path,
      recursive,
      ...(includeEntry && { describe }),
      onEvent: async (event) => {
        await opened.promise;
        await listeners.onEvent(event);
      },
      onEnd: (error) => listeners.onEnd(error),
    });
    try {
      await watcher.open();
    } catch (error) {
      this.#open--;
      throw error;
    }
    listeners.onOpen();
    opened.resolve();
    return watcher;
  }

  #close(watcher: DirectoryWatcher): void {
    watcher.close();
    this.#open--;
  }
}

function drained(stream: MessageStream): Promise<void> {
  return new Promise((resolve) => {
    stream.onceWritable(resolve);
  });
}

function tooMany(): ConnectError {
  return new ConnectError(
    'resource_exhausted',
    `more than ${MAX_COLLECTED} events were not asked for, and some were lost`,
  );
}
