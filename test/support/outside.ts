// The internet of a test: a network namespace with servers, at documentation addresses (RFC 5737).
import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempDisposable, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { authorityCertificate, openAuthority } from '@sandport/server/egress/authority';
import { enterOwnNetwork } from './own-network.ts';
import { PacketWatch } from './packet-watch.ts';
import { waitFor } from './wait-for.ts';

const PREFIX = '203.0.113';
const PERMITTED = '100.64.113.10';
/** Of the authority that signs for every name outside. */
const SECRET = 'outside';
const PROGRAM = fileURLToPath(new URL('outside-server.ts', import.meta.url));

/** Names outside that lead to addresses which no sandbox reaches; one does by way of another. */
export const PRIVATE_NAMES = [
  'metadata.test',
  'alias.test',
  'zero.test',
  'loopback.test',
  'shared.test',
  'protocol.test',
  'slot.test',
  'reserved.test',
  'everyone.test',
];

export class Outside implements AsyncDisposable {
  /** Of the machine, as a sandbox would see it. */
  readonly machine = `${PREFIX}.1`;
  /** Two hosts outside; each answers with its own address on port 80. */
  readonly hosts = [`${PREFIX}.10`, `${PREFIX}.20`] as const;
  /** A private address, of the shared ones (RFC 6598), that an operator may open; `permitted.test` leads to it. */
  readonly permitted = PERMITTED;
  /** Knows `allowed.test`, `*.wild.test` and others; see outside-server.ts. */
  readonly nameserver = `${PREFIX}.53`;
  /** Name of the network namespace that all of it is in. */
  readonly namespace: string;
  readonly #device: string;
  readonly #server: ChildProcess;
  #watches = 0;

  private constructor(name: string, device: string, server: ChildProcess) {
    this.namespace = name;
    this.#device = device;
    this.#server = server;
  }

  /**
   * Takes this process, and what it starts from now on, out of the machine's network: the addresses are the same for all
   * tests, which run side by side. One at a time in a process.
   */
  static async open(): Promise<Outside> {
    enterOwnNetwork();
    const name = `outside-${process.pid}`;
    const device = `out${process.pid}`;
    ip('netns', 'add', name);
    ip('link', 'add', device, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', name);
    ip('address', 'add', `${PREFIX}.1/24`, 'dev', device);
    ip('link', 'set', device, 'up');
    ip('-n', name, 'link', 'set', 'lo', 'up');
    for (const host of ['10', '20', '53']) ip('-n', name, 'address', 'add', `${PREFIX}.${host}/24`, 'dev', 'eth0');
    ip('-n', name, 'address', 'add', `${PERMITTED}/32`, 'dev', 'eth0');
    ip('-n', name, 'link', 'set', 'eth0', 'up');
    // The way to everywhere else, too, so that it is not for want of one that something is not reached.
    ip('route', 'replace', 'default', 'via', `${PREFIX}.10`, 'dev', device);
    const server = spawn('ip', ['netns', 'exec', name, process.execPath, PROGRAM, SECRET], { stdio: 'ignore' });
    const outside = new Outside(name, device, server);
    try {
      await waitFor('the server outside answers', async () => (await fetch(`http://${PREFIX}.10/`)).ok);
    } catch (error) {
      await outside[Symbol.asyncDispose]();
      throw error;
    }
    return outside;
  }

  /** Certificate of the authority that signs for every name outside, as PEM. */
  async authority(): Promise<string> {
    return authorityCertificate(await openAuthority(SECRET));
  }

  /** Names that the nameserver was asked for so far. */
  async asked(): Promise<string[]> {
    return (await (await fetch(`http://${this.nameserver}/asked`)).json()) as string[];
  }

  /** Counts packets that carry `marker`, four letters repeated, wherever they were sent to, and that match `only`. */
  watch(marker: string, only = ''): PacketWatch {
    const letters = `0x${Buffer.from(marker).toString('hex')}`;
    // Behind 48 bytes, where every kind of packet has payload; before fragments are put together.
    return this.#watch(`${only} @nh,384,32 ${letters}`);
  }

  /** Counts tries to connect to one of these ports of the two hosts. */
  watchConnections(ports: readonly number[]): PacketWatch {
    return this.#watch(
      `ip daddr { ${this.hosts.join(', ')} } tcp dport { ${ports.join(', ')} } tcp flags & (syn | ack) == syn`,
    );
  }

  #watch(packets: string): PacketWatch {
    return new PacketWatch(this.namespace, `watch_${++this.#watches}`, packets);
  }

  /** Sets how many bytes a packet between the machine and all of this may have. */
  setUplink(mtu: number): void {
    ip('link', 'set', this.#device, 'mtu', String(mtu));
  }

  /** Counts connections that begin by asking for segments (MSS) of this size. */
  watchSegments(size: number): PacketWatch {
    return this.#watch(`tcp flags & (syn | ack) == syn tcp option maxseg size ${size}`);
  }

  /** Whether a connection from outside to this port of the machine is taken. */
  reachesMachine(port: number): boolean {
    const program = `require('node:net').connect(${port}, '${PREFIX}.1').on('connect', () => process.exit(0)).on('error', () => process.exit(1)).setTimeout(1500, () => process.exit(2))`;
    return spawnSync('ip', ['netns', 'exec', this.namespace, process.execPath, '-e', program]).status === 0;
  }

  /** `HOST:PORT` of what its SOCKS5 proxy, on port 1080, was asked for so far. */
  async dialled(): Promise<string[]> {
    return (await (await fetch(`http://${this.nameserver}/dialled`)).json()) as string[];
  }

  /**
   * Environment of a server that trusts what signs outside, as it would trust the authorities of the web.
   *
   * @param stack ends the file that it names
   */
  async trusted(stack: AsyncDisposableStack): Promise<{ readonly NODE_EXTRA_CA_CERTS: string }> {
    const directory = stack.use(await mkdtempDisposable(join(tmpdir(), 'sandport-outside-')));
    const authorities = join(directory.path, 'ca.pem');
    await writeFile(authorities, await this.authority());
    return { NODE_EXTRA_CA_CERTS: authorities };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.kill('SIGKILL');
    if (this.#server.exitCode === null && this.#server.signalCode === null) await once(this.#server, 'exit');
    // First, as sockets that are being closed keep a namespace, and what is in it, for a while.
    ip('link', 'delete', this.#device);
    ip('netns', 'delete', this.namespace);
  }
}

function ip(...args: string[]): void {
  execFileSync('ip', args);
}
