// A reset overtakes what was written before it: the kernel throws away what the other end has not taken yet.
import type { LightSocket } from './light-socket.ts';
import { unacknowledgedBytes } from './native-sockets.ts';

const LONGEST_MS = 5000;
const LOOK_MS = 5;

/** Resets a connection once the other end has what was written to it, or after 5 s. */
export function resetAfterData(socket: LightSocket): void {
  const deadline = performance.now() + LONGEST_MS;
  const look = (): void => {
    if (socket.destroyed) return;
    const left = socket.writableLength + unacknowledgedBytes(socket.fd);
    if (left > 0 && performance.now() < deadline) setTimeout(look, LOOK_MS);
    else socket.resetAndDestroy();
  };
  look();
}
