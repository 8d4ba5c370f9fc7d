// Asks the machine's nameservers: by UDP, over TCP where the answer does not fit, the next one when one is silent, and
// all of them once more when all are: a datagram gets lost.
import { randomInt } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { connect, isIP } from 'node:net';
import { type Answer, buildQuery, readAnswer } from './message.ts';

const PORT = 53;
/** For each nameserver, in the first round and in the second. */
const ATTEMPTS_MS = [1000, 2000];
const STREAM_MS = 2000;
const MAX_NAMESERVERS = 3;
const MAX_MESSAGE = 65_535;

export interface UpstreamAnswer {
  readonly message: Buffer;
  readonly answer: Answer;
}

/** Undefined when none of them answers. */
export async function askUpstream(
  nameservers: readonly string[],
  name: string,
  type: number,
  signal: AbortSignal,
): Promise<UpstreamAnswer | undefined> {
  for (const ms of ATTEMPTS_MS) {
    for (const nameserver of nameservers.slice(0, MAX_NAMESERVERS)) {
      if (signal.aborted) return undefined;
      const byDatagram = await ask(askByDatagram, nameserver, name, type, signal, ms);
      if (byDatagram === undefined) continue;
      if (!byDatagram.answer.truncated) return byDatagram;
      return (await ask(askByStream, nameserver, name, type, signal, STREAM_MS)) ?? byDatagram;
    }
  }
  return undefined;
}

type Transport = (
  nameserver: string,
  query: Buffer,
  accept: (message: Buffer) => boolean,
  signal: AbortSignal,
) => Promise<void>;

async function ask(
  transport: Transport,
  nameserver: string,
  name: string,
  type: number,
  signal: AbortSignal,
  ms: number,
): Promise<UpstreamAnswer | undefined> {
  const id = randomInt(65_536);
  const { query, question } = buildQuery(id, name, type);
  let result: UpstreamAnswer | undefined;
  const accept = (message: Buffer): boolean => {
    if (message.length < question.length || message.readUInt16BE(0) !== id) return false;
    const answer = readAnswer(message, question);
    if (answer === undefined) return false;
    result = { message, answer };
    return true;
  };
  await transport(nameserver, query, accept, AbortSignal.any([signal, AbortSignal.timeout(ms)]));
  return result;
}

/** A socket of its own for each question: its random port and the connected peer are what makes forging hard. */
const askByDatagram: Transport = (nameserver, query, accept, signal) =>
  new Promise((resolve) => {
    const socket = createSocket(isIP(nameserver) === 6 ? 'udp6' : 'udp4');
    let ended = false;
    const end = (): void => {
      if (ended) return;
      ended = true;
      signal.removeEventListener('abort', end);
      socket.close();
      resolve();
    };
    signal.addEventListener('abort', end);
    socket.on('error', end);
    socket.on('message', (message) => {
      if (accept(message)) end();
    });
    // A listener, as a callback would be called for failures too: an upstream without a way to it, for one.
    socket.on('connect', () => socket.send(query));
    socket.connect(PORT, nameserver);
  });

const askByStream: Transport = (nameserver, query, accept, signal) =>
  new Promise((resolve) => {
    const socket = connect({ host: nameserver, port: PORT, signal });
    let received = Buffer.alloc(0);
    socket.on('connect', () => socket.write(withLength(query)));
    socket.on('data', (chunk) => {
      received = Buffer.concat([received, chunk]);
      if (received.length < 2 || received.length < 2 + received.readUInt16BE(0)) return;
      accept(received.subarray(2, 2 + received.readUInt16BE(0)));
      socket.destroy();
    });
    socket.on('error', () => {});
    socket.on('close', () => resolve());
  });

/** RFC 1035, section 4.2.2. */
export function withLength(message: Buffer): Buffer {
  if (message.length > MAX_MESSAGE) throw new RangeError('a DNS message has at most 65 535 bytes');
  return Buffer.concat([Buffer.from([message.length >> 8, message.length & 255]), message]);
}
