// Bytes both ways between two connections, unread, or with a look at what the inner one sends.
import type { LightSocket } from './light-socket.ts';
import { RelayReader, type RelayWatch } from './relay-reader.ts';
import type { RequestGuard } from './request-guard.ts';
import { resetAfterData } from './reset-after-data.ts';

export interface ByteCount {
  sentBytes: number;
  receivedBytes: number;
}

export interface SpliceOptions {
  readonly count: ByteCount;
  /** Called when both are closed. */
  readonly done: () => void;
  /** What was read of the inner connection before. */
  readonly first?: Buffer | undefined;
  /** Looks at what the inner connection sends. */
  readonly guard?: RequestGuard | undefined;
  /** Sent to the inner connection, behind what it still gets, when the guard has stopped it. */
  readonly refusal?: (() => string) | undefined;
  /** From the first byte of a head that the guard holds back to its last one. Default: 30 000. */
  readonly headMs?: number;
}

const NOTHING = Buffer.alloc(0);
/** Closing on bytes that are unread resets the connection, and could take the refusal with it. */
const LINGER_MS = 1000;
const HEAD_MS = 30_000;

/** Each half ends with its other side, behind all that came before: in order, or with a reset. */
export function splice(inner: LightSocket, outer: LightSocket, options: SpliceOptions): void {
  new Splice(inner, outer, options).start();
}

class Splice implements RelayWatch {
  readonly #inner: LightSocket;
  readonly #outer: LightSocket;
  readonly #options: SpliceOptions;
  readonly #filter: ((bytes: Buffer) => Buffer) | undefined;
  readonly #fromInner: RelayReader;
  readonly #fromOuter: RelayReader;
  #open = 2;
  /** Nothing more of the inner one may go on. */
  #stopped = false;
  /** The guard's head that has begun. */
  #begun: number | undefined;
  #headTimer: NodeJS.Timeout | undefined;
  #lingerTimer: NodeJS.Timeout | undefined;

  constructor(inner: LightSocket, outer: LightSocket, options: SpliceOptions) {
    this.#inner = inner;
    this.#outer = outer;
    this.#options = options;
    const { guard } = options;
    this.#filter = guard && ((bytes) => this.#check(guard, bytes));
    this.#fromInner = new RelayReader(inner, outer, this, this.#filter);
    this.#fromOuter = new RelayReader(outer, inner, this);
  }

  start(): void {
    const { first } = this.#options;
    if (first !== undefined) {
      this.count(this.#fromInner, first.length);
      const bytes = this.#filter?.(first) ?? first;
      if (bytes.length > 0) this.#outer.write(bytes);
    }
    this.#fromInner.start(this.#fromOuter);
    this.#fromOuter.start(this.#fromInner);
  }

  count(reader: RelayReader, bytes: number): void {
    if (reader === this.#fromOuter) this.#options.count.receivedBytes += bytes;
    else if (!this.#stopped) this.#options.count.sentBytes += bytes;
  }

  ended(reader: RelayReader): void {
    if (reader === this.#fromInner) {
      // A head that has not come whole never will.
      clearTimeout(this.#headTimer);
      this.#outer.end();
    } else if (this.#stopped) this.#refuse();
    else this.#inner.end();
  }

  closed(reader: RelayReader): void {
    const isInner = reader === this.#fromInner;
    const other = isInner ? this.#outer : this.#inner;
    const isInOrder = reader.from.readableEnded || (this.#stopped && isInner);
    // Nobody is left to get what the other one still sends; who was refused has time to read why.
    const isInVain = !other.readableEnded && (isInner || !this.#stopped);
    if (!isInOrder || isInVain) resetAfterData(other);
    if (isInner) {
      clearTimeout(this.#headTimer);
      clearTimeout(this.#lingerTimer);
    }
    if (--this.#open === 0) this.#options.done();
  }

  #check(guard: RequestGuard, bytes: Buffer): Buffer {
    if (this.#stopped) return NOTHING;
    const checked = guard.take(bytes);
    if (guard.begun !== this.#begun) {
      clearTimeout(this.#headTimer);
      this.#begun = guard.begun;
      const { headMs = HEAD_MS } = this.#options;
      if (this.#begun !== undefined) this.#headTimer = setTimeout(() => this.#inner.resetAndDestroy(), headMs);
    }
    if (checked.stop) {
      this.#stopped = true;
      // Behind what is about to be written.
      queueMicrotask(() => this.#outer.end());
    }
    return checked.bytes;
  }

  #refuse(): void {
    const refusal = this.#options.refusal?.();
    if (refusal !== undefined) this.#inner.write(refusal);
    this.#inner.end();
    this.#lingerTimer = setTimeout(() => this.#inner.destroy(), LINGER_MS);
  }
}
