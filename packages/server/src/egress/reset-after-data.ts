// A reset overtakes what was written before it: the kernel throws away what the other end has not taken yet.
import { unacknowledgedBytes } from './native-sockets.ts';
import type { RelaySocket } from './relay-socket.ts';

const LONGEST_MS = 5000;
const LOOK_MS = 5;

/** Resets a connection once the other end has what was written to it, or after 5 s. */
export function resetAfterData(socket: RelaySocket): void {
  const deadline = performance.now() + LONGEST_MS;
  const look = (): void => {
    if (socket.destroyed) return;
    if (unacknowledgedBytes(socket) > 0 && performance.now() < deadline) setTimeout(look, LOOK_MS);
    else socket.resetAndDestroy();
  };
  look();
}
