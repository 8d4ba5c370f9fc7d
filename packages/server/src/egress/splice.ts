// Bytes both ways between two sockets, unread, or with a look at what the inner one sends.
import type { Socket } from 'node:net';
import type { RequestGuard } from './request-guard.ts';

export interface ByteCount {
  sentBytes: number;
  receivedBytes: number;
}

export interface SpliceOptions {
  /** Looks at what the inner socket sends. */
  readonly guard: RequestGuard;
  /** Sent to the inner socket, behind what it still gets, when the guard has stopped it. */
  readonly refusal: string;
}

/** Each half ends with its other side; an error of one resets the other. Resolves when both are closed. */
export function splice(inner: Socket, outer: Socket, count: ByteCount, options?: SpliceOptions): Promise<void> {
  return new Promise((resolve) => {
    let open = 2;
    let stopped = false;
    const connect = (from: Socket, to: Socket, forward: (chunk: Buffer) => boolean, end: () => void): void => {
      from.on('data', (chunk: Buffer) => {
        if (!forward(chunk)) from.pause();
      });
      to.on('drain', () => from.resume());
      from.on('end', end);
      from.on('error', () => to.resetAndDestroy());
      from.on('close', () => {
        if (!from.readableEnded && !(stopped && from === inner)) to.resetAndDestroy();
        if (--open === 0) resolve();
      });
    };
    const send = (chunk: Buffer): boolean => {
      if (stopped) return true;
      count.sentBytes += chunk.length;
      if (options === undefined) return outer.write(chunk);
      const { bytes, stop } = options.guard.take(chunk);
      const isRoom = bytes.length === 0 || outer.write(bytes);
      if (stop) {
        stopped = true;
        outer.end();
      }
      return isRoom;
    };
    const receive = (chunk: Buffer): boolean => {
      count.receivedBytes += chunk.length;
      return inner.write(chunk);
    };
    connect(inner, outer, send, () => outer.end());
    connect(outer, inner, receive, () => {
      if (stopped && options !== undefined) inner.end(options.refusal, () => inner.destroy());
      else inner.end();
    });
    inner.resume();
    outer.resume();
  });
}
