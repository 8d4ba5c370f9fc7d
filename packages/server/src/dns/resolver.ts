// The resolver that every sandbox is told of: answers at once where the internet is off, else asks the machine's own.
import { createSocket, type RemoteInfo, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { isIP } from 'node:net';

const HEADER_LENGTH = 12;
const MAX_IN_FLIGHT = 2000;
const UPSTREAM_MS = 3000;
const REFUSED = 5;
const SERVER_FAILURE = 2;

export interface ResolverOptions {
  /** Whether the sandbox at this address may resolve names. Unknown addresses may not. */
  readonly mayResolve: (address: string) => boolean;
  /** Nameservers of the machine; none means every question fails at once. */
  readonly upstreams: readonly string[];
}

export class Resolver {
  readonly #options: ResolverOptions;
  readonly #socket: Socket = createSocket('udp4');
  /** What gives up each question that waits for its answer. */
  readonly #inFlight = new Set<() => void>();

  constructor(options: ResolverOptions) {
    this.#options = options;
  }

  /** Port on which it listens; the packet filter lets only sandboxes reach it. */
  async listen(): Promise<number> {
    this.#socket.on('message', (query, from) => this.#answer(query, from));
    this.#socket.on('error', () => {
      // A sandbox that is gone cannot be answered.
    });
    this.#socket.bind(0);
    await once(this.#socket, 'listening');
    return this.#socket.address().port;
  }

  /** Questions that wait are not answered any more. */
  async close(): Promise<void> {
    for (const abandon of this.#inFlight) abandon();
    await new Promise<void>((resolve) => this.#socket.close(() => resolve()));
  }

  #answer(query: Buffer, from: RemoteInfo): void {
    if (query.length < HEADER_LENGTH) return;
    const upstream = this.#options.upstreams[0];
    if (!this.#options.mayResolve(from.address)) this.#fail(query, from, REFUSED);
    else if (upstream === undefined || this.#inFlight.size >= MAX_IN_FLIGHT) this.#fail(query, from, SERVER_FAILURE);
    else this.#forward(query, from, upstream);
  }

  /** A socket of its own for each question: its random port and the connected peer are what makes forging hard. */
  #forward(query: Buffer, from: RemoteInfo, upstream: string): void {
    const socket = createSocket(isIP(upstream) === 6 ? 'udp6' : 'udp4');
    const abandon = (): void => {
      clearTimeout(timer);
      this.#inFlight.delete(abandon);
      socket.close();
    };
    const finish = (answer: Buffer | undefined): void => {
      if (!this.#inFlight.has(abandon)) return;
      abandon();
      if (answer === undefined) this.#fail(query, from, SERVER_FAILURE);
      else this.#send(answer, from);
    };
    const timer = setTimeout(() => finish(undefined), UPSTREAM_MS);
    this.#inFlight.add(abandon);
    socket.on('error', () => finish(undefined));
    socket.on('message', (answer) => {
      if (answer.length >= HEADER_LENGTH && answer.readUInt16BE(0) === query.readUInt16BE(0)) finish(answer);
    });
    // A listener, as a callback would be called for failures too: an upstream without a way to it, for one.
    socket.on('connect', () => socket.send(query));
    socket.connect(53, upstream);
  }

  #fail(query: Buffer, from: RemoteInfo, code: number): void {
    const answer = Buffer.from(query);
    // QR set, opcode and RD kept, RA set (RFC 1035, section 4.1.1).
    answer[2] = 0x80 | (query[2]! & 0x79);
    answer[3] = 0x80 | code;
    this.#send(answer, from);
  }

  #send(answer: Buffer, to: RemoteInfo): void {
    this.#socket.send(answer, to.port, to.address);
  }
}

/** The machine's nameservers, in order (man 5 resolv.conf). */
export async function machineNameservers(path = '/etc/resolv.conf'): Promise<string[]> {
  const text = await readFile(path, 'utf8').catch(() => '');
  return [...text.matchAll(/^\s*nameserver\s+(\S+)/gm)]
    .map((match) => match[1]!)
    .filter((address) => isIP(address) !== 0);
}
