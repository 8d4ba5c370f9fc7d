// Bytes both ways between two sockets, unread, or with a look at what the inner one sends.
import { Socket } from 'node:net';
import { readPastWriteErrors } from './read-past-write-errors.ts';
import { type Passage, RelayReader } from './relay-reader.ts';
import type { RelaySocket } from './relay-socket.ts';
import type { RequestGuard } from './request-guard.ts';
import { resetAfterData } from './reset-after-data.ts';

export interface ByteCount {
  sentBytes: number;
  receivedBytes: number;
}

export interface SpliceOptions {
  /** What was read of the inner socket before. */
  readonly first?: Buffer | undefined;
  /** Looks at what the inner socket sends. */
  readonly guard?: RequestGuard | undefined;
  /** Sent to the inner socket, behind what it still gets, when the guard has stopped it. */
  readonly refusal?: string;
  /** From the first byte of a head that the guard holds back to its last one. Default: 30 000. */
  readonly headMs?: number;
}

const NOTHING = Buffer.alloc(0);
/** Closing on bytes that are unread resets the connection, and could take the refusal with it. */
const LINGER_MS = 1000;
const HEAD_MS = 30_000;

/**
 * Each half ends with its other side, behind all that came before: in order, or with a reset. Resolves when both are
 * closed.
 */
export function splice(
  inner: RelaySocket,
  outer: RelaySocket,
  count: ByteCount,
  options: SpliceOptions = {},
): Promise<void> {
  const { first, guard, refusal = '', headMs = HEAD_MS } = options;
  return new Promise((resolve) => {
    let open = 2;
    let stopped = false;
    let begun: number | undefined;
    let headTimer: NodeJS.Timeout | undefined;
    const connect = (from: RelaySocket, to: RelaySocket, passage: Passage, onEnd: () => void): RelayReader => {
      if (to instanceof Socket) readPastWriteErrors(to);
      from.on('end', onEnd);
      from.on('error', () => {});
      from.on('close', () => {
        if (!from.readableEnded && !(stopped && from === inner)) resetAfterData(to);
        if (from === inner) clearTimeout(headTimer);
        if (--open === 0) resolve();
      });
      return new RelayReader(from, to, passage);
    };
    const check = (one: RequestGuard, bytes: Buffer): Buffer => {
      if (stopped) return NOTHING;
      const checked = one.take(bytes);
      if (one.begun !== begun) {
        clearTimeout(headTimer);
        begun = one.begun;
        if (begun !== undefined) headTimer = setTimeout(() => inner.resetAndDestroy(), headMs);
      }
      if (checked.stop) {
        stopped = true;
        // Behind what is about to be written.
        process.nextTick(() => outer.end());
      }
      return checked.bytes;
    };
    const sent: Passage = {
      count: (bytes) => {
        if (!stopped) count.sentBytes += bytes;
      },
      filter: guard && ((bytes) => check(guard, bytes)),
    };
    const received: Passage = {
      count: (bytes) => {
        count.receivedBytes += bytes;
      },
    };
    const fromInner = connect(inner, outer, sent, () => outer.end());
    const fromOuter = connect(outer, inner, received, () => {
      if (!stopped) return inner.end();
      if (refusal !== '') inner.write(refusal);
      inner.end();
      const timer = setTimeout(() => inner.destroy(), LINGER_MS);
      inner.once('close', () => clearTimeout(timer));
    });
    if (first !== undefined) {
      sent.count(first.length);
      const bytes = sent.filter?.(first) ?? first;
      if (bytes.length > 0) outer.write(bytes);
    }
    fromInner.start();
    fromOuter.start();
  });
}
