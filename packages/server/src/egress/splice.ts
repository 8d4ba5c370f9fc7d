// Bytes both ways between two sockets, unread.
import type { Socket } from 'node:net';

export interface ByteCount {
  sentBytes: number;
  receivedBytes: number;
}

/** Each half ends with its other side; an error of one resets the other. Resolves when both are closed. */
export function splice(inner: Socket, outer: Socket, count: ByteCount): Promise<void> {
  return new Promise((resolve) => {
    let open = 2;
    for (const [from, to, key] of [
      [inner, outer, 'sentBytes'],
      [outer, inner, 'receivedBytes'],
    ] as const) {
      from.on('data', (chunk: Buffer) => {
        count[key] += chunk.length;
        if (!to.write(chunk)) from.pause();
      });
      to.on('drain', () => from.resume());
      from.on('end', () => to.end());
      from.on('error', () => to.resetAndDestroy());
      from.on('close', () => {
        if (!from.readableEnded) to.resetAndDestroy();
        if (--open === 0) resolve();
      });
      from.resume();
    }
  });
}
