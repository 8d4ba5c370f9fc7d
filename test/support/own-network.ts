// A network of a test file's own: other tests make and remove interfaces all the time, upon which a browser drops its
// connections (ERR_NETWORK_CHANGED), and an internet of tests has the same addresses for all.
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { loadKoffi } from '@sandport/native/koffi';

const CLONE_NEWNET = 0x4000_0000;

let entered = false;

/** From now on this process and those that it starts have a network of which only the loopback interface exists. */
export function enterOwnNetwork(): void {
  if (entered) return;
  entered = true;
  const koffi = loadKoffi();
  // It holds for the calling thread (unshare(2)), which is the one that opens sockets and starts processes.
  const unshare = koffi.load(null).func('int unshare(int flags)');
  if (unshare(CLONE_NEWNET) !== 0) throw new Error(`unshare failed with error ${koffi.errno()}: run the tests as root`);
  execFileSync('ip', ['link', 'set', 'lo', 'up']);
}

/** Another network, joined to this one by a wire and by nothing else. */
export interface NeighbourNetwork extends AsyncDisposable {
  /** Of this network, as the other one knows it. */
  readonly address: string;
  /** A command that runs a program in the other network, given to it as further arguments. */
  readonly within: readonly string[];
}

/** For a browser beside a server that makes and removes interfaces; to be called in a network of its own. */
export async function makeNeighbourNetwork(): Promise<NeighbourNetwork> {
  // The network is there as long as this process is.
  const holder = spawn('unshare', ['--net', 'sh', '-c', 'echo ready; exec sleep infinity'], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  await once(holder.stdout, 'data');
  const within = ['nsenter', '--target', String(holder.pid), '--net'];
  const ip = (...args: string[]): Buffer => execFileSync('ip', args);
  const there = (...args: string[]): Buffer => execFileSync(within[0]!, [...within.slice(1), 'ip', ...args]);
  ip('link', 'add', 'here', 'type', 'veth', 'peer', 'name', 'there', 'netns', String(holder.pid));
  ip('address', 'add', '192.0.2.1/30', 'dev', 'here');
  ip('link', 'set', 'here', 'up');
  there('address', 'add', '192.0.2.2/30', 'dev', 'there');
  for (const name of ['lo', 'there']) there('link', 'set', name, 'up');
  return {
    address: '192.0.2.1',
    within,
    async [Symbol.asyncDispose]() {
      const exited = once(holder, 'exit');
      holder.kill('SIGKILL');
      await exited;
    },
  };
}
