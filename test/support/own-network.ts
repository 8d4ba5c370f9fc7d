// A network of a test file's own: other tests make and remove interfaces all the time, upon which a browser drops its
// connections (ERR_NETWORK_CHANGED).
import { execFileSync } from 'node:child_process';
import { loadKoffi } from '../../packages/agent/src/native/koffi.ts';

const CLONE_NEWNET = 0x4000_0000;

/** From now on this process and those that it starts have a network of which only the loopback interface exists. */
export function enterOwnNetwork(): void {
  const koffi = loadKoffi();
  // It holds for the calling thread (unshare(2)), which is the one that opens sockets and starts processes.
  const unshare = koffi.load(null).func('int unshare(int flags)');
  if (unshare(CLONE_NEWNET) !== 0) throw new Error(`unshare failed with error ${koffi.errno()}: run the tests as root`);
  execFileSync('ip', ['link', 'set', 'lo', 'up']);
}
