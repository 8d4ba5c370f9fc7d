// Which of many descriptors are ready: an epoll instance of its own, which the loop of Node watches as one descriptor
// (epoll(7), libuv's uv_poll_t). What is ready at the same time is dealt with in one turn, without a call from Node for each.
import { isMainThread } from 'node:worker_threads';
import { loadKoffi } from '@sandport/native/koffi';

/** sys/epoll.h */
export const Ready = { read: 0x1, urgent: 0x2, write: 0x4, error: 0x8, hangUp: 0x10, readHangUp: 0x2000 } as const;
const EPOLLET = 0x8000_0000 | 0;
const EPOLL_CLOEXEC = 0o2000000;
const ADD = 1;
const DELETE = 2;
const MODIFY = 3;
/** struct epoll_event in words of 4 bytes: packed on x86-64 only. */
const EVENT_WORDS = process.arch === 'x64' ? 3 : 4;
const DATA_WORD = EVENT_WORDS - 2;
/** Taken at once. */
const MAX_EVENTS = 256;
/** Until others of the process have their turn, such as the resolver, timers and the control process. */
const LONGEST_MS = 5;
/** Of what waits for its turn; the kernel has the rest. */
const MAX_QUEUED = 1024;
/** Numbers of one in the queue. */
const QUEUED_NUMBERS = 3;
const SETTLED = Promise.resolve();
/** uv.h */
const UV_POLL = 8;
const UV_READABLE = 1;

export interface Watcher {
  /** @param events those of `Ready` that have come up since the last call; none where it was asked for by `again` */
  ready(events: number): void;
  /** `ready` has thrown: what it was told of is lost, and it is told of nothing more until something new comes up. */
  failed(): void;
}

interface PollCalls {
  readonly create: (flags: number) => number;
  readonly control: (epoll: number, operation: number, fd: number, event: Int32Array) => number;
  readonly wait: (epoll: number, events: Int32Array, max: number, timeoutMs: number) => number;
  readonly ref: (handle: Buffer) => void;
  readonly unref: (handle: Buffer) => void;
}

class Poller {
  readonly #calls: PollCalls;
  readonly #epoll: number;
  /** Of libuv, which has its address for as long as the process lives. */
  readonly #handle: Buffer;
  readonly #events = new Int32Array(MAX_EVENTS * EVENT_WORDS);
  readonly #event = new Int32Array(EVENT_WORDS);
  /** By descriptor. */
  readonly #watchers: (Watcher | undefined)[] = [];
  /** Of a descriptor's watchers: what was ready for one is not for the next, to which the kernel gave the same number. */
  readonly #generations: number[] = [];
  #size = 0;
  /** Descriptor, generation and events of each who is to be told. */
  readonly #queue: number[] = [];
  #isScheduled = false;
  /** Of `performance.now()`. */
  #deadline = 0;
  readonly #firstTurn = (): void => {
    this.#deadline = performance.now() + LONGEST_MS;
    this.#takeTurn();
  };
  readonly #turn = (): void => this.#takeTurn();

  /** @throws Error outside the main thread, and when this platform has no addon for foreign functions */
  constructor() {
    if (!isMainThread) throw new Error('descriptors are watched in the main thread');
    const koffi = loadKoffi();
    const library = koffi.load(null);
    this.#calls = {
      create: library.func('int epoll_create1(int flags)'),
      control: library.func('int epoll_ctl(int epoll, int operation, int fd, const void *event)'),
      wait: library.func('int epoll_wait(int epoll, _Out_ void *events, int max, int timeout)'),
      ref: library.func('void uv_ref(void *handle)'),
      unref: library.func('void uv_unref(void *handle)'),
    };
    this.#epoll = this.#calls.create(EPOLL_CLOEXEC);
    const loop: unknown = library.func('void *uv_default_loop()')();
    this.#handle = Buffer.alloc(library.func('size_t uv_handle_size(int type)')(UV_POLL));
    const type = koffi.pointer(koffi.proto('void sandport_poll(void *handle, int status, int events)'));
    const callback = koffi.register(() => this.#schedule(), type);
    const init = library.func('int uv_poll_init(void *loop, void *handle, int fd)');
    const start = library.func('int uv_poll_start(void *handle, int events, void *callback)');
    if (init(loop, this.#handle, this.#epoll) !== 0 || start(this.#handle, UV_READABLE, callback) !== 0)
      throw new Error('descriptors cannot be watched');
    this.#calls.unref(this.#handle);
  }

  /**
   * Keeps the process alive until `remove`.
   *
   * @param events of `Ready`; errors and hang-ups are told in any case. They are told once each time they come up
   * @param repeats tells them as long as they last
   */
  add(fd: number, events: number, watcher: Watcher, { repeats = false } = {}): void {
    this.#generations[fd] = ((this.#generations[fd] ?? 0) + 1) | 0;
    this.#control(ADD, fd, repeats ? events : events | EPOLLET);
    this.#watchers[fd] = watcher;
    if (++this.#size === 1) this.#calls.ref(this.#handle);
  }

  /** Waits for other events. Those that are there already are told again. */
  change(fd: number, events: number): void {
    this.#control(MODIFY, fd, events | EPOLLET);
  }

  /** @param closes whether the descriptor is closed after it, upon which the kernel forgets it by itself */
  remove(fd: number, { closes }: { readonly closes: boolean }): void {
    if (this.#watchers[fd] === undefined) return;
    this.#watchers[fd] = undefined;
    if (!closes) this.#calls.control(this.#epoll, DELETE, fd, this.#event);
    if (--this.#size === 0) this.#calls.unref(this.#handle);
  }

  /** Calls `ready` of its watcher when those before it have had their turn. */
  again(fd: number): void {
    if (this.#watchers[fd] === undefined) return;
    this.#queue.push(fd, this.#generations[fd]!, 0);
    this.#schedule();
  }

  #control(operation: number, fd: number, events: number): void {
    this.#event[0] = events;
    this.#event[DATA_WORD] = fd;
    this.#event[DATA_WORD + 1] = this.#generations[fd]!;
    if (this.#calls.control(this.#epoll, operation, fd, this.#event) !== 0)
      throw new Error(`a descriptor cannot be watched: ${loadKoffi().errno()}`);
  }

  /** Of Node's own, so that promises go on after it. */
  #schedule(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    setImmediate(this.#firstTurn);
  }

  #takeTurn(): void {
    if (this.#queue.length < MAX_QUEUED * QUEUED_NUMBERS) this.#ask();
    const isEmpty = this.#queue.length === 0;
    const isLate = this.#tell();
    // Behind the promises that this turn has settled.
    if (!isEmpty && !isLate) {
      soon(this.#turn);
      return;
    }
    this.#isScheduled = false;
    if (this.#queue.length > 0) this.#schedule();
  }

  #ask(): void {
    const count = this.#calls.wait(this.#epoll, this.#events, MAX_EVENTS, 0);
    for (let index = 0; index < count; index++) {
      const at = index * EVENT_WORDS;
      this.#queue.push(this.#events[at + DATA_WORD]!, this.#events[at + DATA_WORD + 1]!, this.#events[at]!);
    }
  }

  /** Returns whether it took so long that others have to have their turn. */
  #tell(): boolean {
    const queue = this.#queue;
    let isLate = false;
    let head = 0;
    for (; head < queue.length && !isLate; head += QUEUED_NUMBERS) {
      const fd = queue[head]!;
      const watcher = this.#watchers[fd];
      if (watcher !== undefined && this.#generations[fd] === queue[head + 1]) tell(watcher, queue[head + 2]!);
      isLate = performance.now() >= this.#deadline;
    }
    if (head === queue.length) queue.length = 0;
    else queue.splice(0, head);
    return isLate;
  }
}

/** What one throws is not the others' fault. */
function tell(watcher: Watcher, events: number): void {
  try {
    watcher.ready(events);
  } catch (error) {
    setImmediate(() => {
      throw error;
    });
    watcher.failed();
  }
}

/** Behind the promises that are settled by now; cheaper than `queueMicrotask`. */
export function soon(call: () => void): void {
  void SETTLED.then(call);
}

let shared: Poller | undefined;

/** The one of the process. */
export function sharedPoller(): Poller {
  shared ??= new Poller();
  return shared;
}
