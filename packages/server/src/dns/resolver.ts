// The resolver that every sandbox is told of: says at once what may not be resolved, else what the machine's own
// nameservers say. Addresses that no sandbox reaches are not handed out: a name must not lead to what is private.
import { createSocket, type RemoteInfo, type Socket } from 'node:dgram';
import { readFile } from 'node:fs/promises';
import { createServer, isIP, type Server, type Socket as StreamSocket } from 'node:net';
import { Code, HEADER_LENGTH, OPT, type Question, readQuestion, Type } from './message.ts';
import type { NameLookup } from './name-lookup.ts';
import { serveQuestions } from './question-stream.ts';

/** Questions of one sandbox that wait at once. */
const MAX_WAITING = 200;
const MAX_STREAMS = 16;
const BIND_ATTEMPTS = 10;
const STREAM_IDLE_MS = 5000;
/** What reaches every sandbox in one piece (DNS flag day 2020). */
const LARGEST_DATAGRAM = 1232;

/** What a sandbox may ask. */
export interface NamePolicy {
  mayResolve(name: string): boolean;
  /** Whether some names are refused: then nothing is answered that would hide a name from the proxy. */
  readonly resolvesSome: boolean;
  allowsAddressOfName(address: string): boolean;
  remember(name: string, addresses: readonly string[]): void;
  deny(denial: { protocol: 'dns'; name: string; address?: string; reason: string }): void;
}

export interface ResolverOptions {
  /** Of the sandbox at this address. Unknown addresses may ask nothing. */
  readonly policyOf: (address: string) => NamePolicy | undefined;
  readonly lookup: NameLookup;
}

export class Resolver {
  readonly #options: ResolverOptions;
  readonly #socket: Socket = createSocket('udp4');
  readonly #server: Server = createServer((socket) => this.#serveStream(socket));
  readonly #streams = new Map<string, Set<StreamSocket>>();
  readonly #waiting = new Map<string, number>();
  #closed = false;

  constructor(options: ResolverOptions) {
    this.#options = options;
  }

  /** Port on which it listens, by UDP and TCP; the packet filter lets only sandboxes reach it. */
  async listen(port = 0): Promise<number> {
    this.#socket.on('message', (query, from) => void this.#serveDatagram(query, from));
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.#listen(port);
      } catch (error) {
        // A port that is free for the one may be taken for the other.
        if (port !== 0 || attempt === BIND_ATTEMPTS) throw error;
      }
    }
  }

  async #listen(port: number): Promise<number> {
    await listening(this.#server, () => this.#server.listen(port, '0.0.0.0'));
    const taken = (this.#server.address() as { port: number }).port;
    try {
      await listening(this.#socket, () => this.#socket.bind(taken));
    } catch (error) {
      this.#server.close();
      throw error;
    }
    // A sandbox that is gone cannot be answered.
    this.#socket.on('error', () => {});
    return taken;
  }

  /** Questions that wait are not answered any more. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#options.lookup.close();
    for (const streams of this.#streams.values()) for (const stream of streams) stream.destroy();
    await Promise.all([
      new Promise<void>((resolve) => this.#socket.close(() => resolve())),
      new Promise<void>((resolve) => this.#server.close(() => resolve())),
    ]);
  }

  async #serveDatagram(query: Buffer, from: RemoteInfo): Promise<void> {
    const answer = await this.#answer(query, from.address, true);
    if (answer !== undefined && !this.#closed) this.#socket.send(answer, from.port, from.address);
  }

  #serveStream(socket: StreamSocket): void {
    const address = socket.remoteAddress ?? '';
    const streams = this.#streams.get(address) ?? new Set();
    if (streams.size >= MAX_STREAMS || this.#options.policyOf(address) === undefined) {
      socket.resetAndDestroy();
      return;
    }
    this.#streams.set(address, streams.add(socket));
    socket.setTimeout(STREAM_IDLE_MS, () => socket.destroy());
    socket.on('error', () => {});
    socket.on('close', () => {
      streams.delete(socket);
      if (streams.size === 0) this.#streams.delete(address);
    });
    serveQuestions(socket, (query) => this.#answer(query, address, false));
  }

  async #answer(query: Buffer, address: string, isDatagram: boolean): Promise<Buffer | undefined> {
    if (query.length < HEADER_LENGTH || (query[2]! & 0x80) !== 0) return undefined;
    const waiting = this.#waiting.get(address) ?? 0;
    const question = readQuestion(query);
    if (question === undefined) return failure(query, Code.formatError);
    if (waiting >= MAX_WAITING) return failure(query, Code.serverFailure, question);
    this.#waiting.set(address, waiting + 1);
    try {
      return await this.#resolve(query, question, address, isDatagram);
    } finally {
      const left = this.#waiting.get(address)! - 1;
      if (left === 0) this.#waiting.delete(address);
      else this.#waiting.set(address, left);
    }
  }

  async #resolve(query: Buffer, question: Question, address: string, isDatagram: boolean): Promise<Buffer> {
    const { name, type } = question;
    const policy = this.#options.policyOf(address);
    if (policy === undefined) return failure(query, Code.refused, question);
    if (!policy.mayResolve(name)) {
      policy.deny({ protocol: 'dns', name, reason: 'the name is not allowed' });
      return failure(query, Code.refused, question);
    }
    if (type >= 128 && type <= Type.any) return failure(query, Code.notImplemented, question);
    // Sandboxes have no IPv6; and service bindings bring keys with which a client hides the name from the proxy.
    if (type === Type.aaaa || (policy.resolvesSome && (type === Type.svcb || type === Type.https))) {
      return failure(query, 0, question);
    }
    const found = await this.#options.lookup.ask(name, type, address);
    if (found === undefined) return failure(query, Code.serverFailure, question);
    const inner = found.answer.addresses.find((one) => !policy.allowsAddressOfName(one));
    if (inner !== undefined) {
      policy.deny({ protocol: 'dns', name, address: inner, reason: 'the address is not on the internet' });
      return failure(query, Code.refused, question);
    }
    policy.remember(name, found.answer.addresses);
    const answer = Buffer.from(found.message.subarray(0, found.answer.additional));
    // The asker's ID and its own spelling of the name; the same length, so what points to the name still does.
    query.copy(answer, 0, 0, 2);
    query.copy(answer, HEADER_LENGTH, HEADER_LENGTH, question.end);
    answer.writeUInt16BE(0, 10);
    const elapsed = Math.floor((performance.now() - found.since) / 1000);
    for (const offset of found.answer.ttlOffsets) {
      answer.writeUInt32BE(Math.max(1, (answer.readUInt32BE(offset) & 0x7fffffff) - elapsed), offset);
    }
    if (isDatagram && answer.length + OPT.length > Math.min(question.udpSize, LARGEST_DATAGRAM)) {
      const short = failure(query, 0, question);
      short[2]! |= 0x02;
      return short;
    }
    return question.hasOpt ? withOpt(answer) : answer;
  }
}

function listening(socket: Socket | Server, begin: () => void): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.once('error', reject);
    socket.once('listening', () => {
      socket.off('error', reject);
      resolve();
    });
    begin();
  });
}

function withOpt(answer: Buffer): Buffer {
  answer.writeUInt16BE(1, 10);
  return Buffer.concat([answer, OPT]);
}

/** An answer without records. */
function failure(query: Buffer, code: number, question?: Question): Buffer {
  const answer = Buffer.from(
    question === undefined ? query.subarray(0, HEADER_LENGTH) : query.subarray(0, question.end),
  );
  // QR set, opcode and RD kept, RA set (RFC 1035, section 4.1.1).
  answer[2] = 0x80 | (query[2]! & 0x79);
  answer[3] = 0x80 | code;
  answer.writeUInt16BE(question === undefined ? 0 : 1, 4);
  for (const offset of [6, 8, 10]) answer.writeUInt16BE(0, offset);
  return question?.hasOpt ? withOpt(answer) : answer;
}

/** The machine's nameservers, in order (man 5 resolv.conf). */
export async function machineNameservers(path = '/etc/resolv.conf'): Promise<string[]> {
  const text = await readFile(path, 'utf8').catch(() => '');
  return [...text.matchAll(/^\s*nameserver\s+(\S+)/gm)]
    .map((match) => match[1]!)
    .filter((address) => isIP(address) !== 0);
}
