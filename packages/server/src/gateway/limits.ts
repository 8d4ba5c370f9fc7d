// Every bound of the gateway in one place. Times are in milliseconds, sizes in bytes.

import { type ClientLimits, defaultClientLimits } from '@sandport/protocol/routes';

const KIB = 1024;
const SECOND = 1000;

export const limits = {
  /** A request head or response head with all its header lines. */
  headBytes: defaultClientLimits.headBytes,
  headerCount: defaultClientLimits.headerCount,
  /** The request target; leaves room for the header lines beside it. */
  targetBytes: defaultClientLimits.headBytes / 2,
  /** The trailer section of a chunked body. */
  trailerBytes: 16 * KIB,
  /** One line that gives a chunk's size, with its extensions. */
  chunkLineBytes: 4 * KIB,

  /** From accepting a connection to its first bytes. */
  firstBytesTime: 30 * SECOND,
  tlsHandshakeTime: 10 * SECOND,
  /** Answers of TLS itself, as to changes of keys, that wait for a client that does not read, and how often that is looked at. */
  tlsUnread: 256 * KIB,
  tlsCheckInterval: 5 * SECOND,
  /** From the first byte of a request head to its last. */
  headTime: defaultClientLimits.headTime,
  /** By default longer than load balancers in front keep theirs, so that they end idle connections and no request meets a FIN. */
  idleTime: defaultClientLimits.idleTime,
  /** How long bytes of a refused request are read and dropped, so that the answer is not lost to a reset. */
  lingerTime: 5 * SECOND,
  /** How long a peer may leave bytes unread that a closing connection still has to send. */
  flushTime: 30 * SECOND,
  /** How long a client that has ended its half waits for the next bytes of its answer. */
  halfClosedTime: 5 * SECOND,
  /** After how long without traffic the kernel probes whether a peer is still there. */
  keepAliveProbe: 30 * SECOND,

  /** How long a request waits for a sandbox that is being resumed, and how many of them do in one worker. */
  wakeTime: 60 * SECOND,
  /** After which a person who waits for it sees a page that says so. */
  wakePageTime: 2 * SECOND,
  waitingPerSandbox: 1024,

  /** Informational responses (1xx) before one answer. */
  interimResponses: 32,

  connectTime: 10 * SECOND,
  /** Idle connections to one port of one sandbox. */
  idleUpstreams: 64,
  upstreamIdleTime: 60 * SECOND,
  /** A request that must not be repeated takes no connection that idled longer: its server may be closing it. */
  unrepeatableIdleTime: 1 * SECOND,

  connectionsPerWorker: 50_000,
  /** HTTP/2 streams of one connection that are open at once. */
  streamsPerSession: 250,
  /** Streams of one HTTP/2 connection to a sandbox, unless its server takes fewer. */
  streamsPerUpstream: 100,
  /** Bytes that a client may send ahead on one stream, and on all streams of a connection together. */
  streamWindow: 1024 * KIB,
  sessionWindow: 4096 * KIB,
  /** How often an HTTP/2 connection looks for streams that are over. */
  streamCheckInterval: 5 * SECOND,
  /** How often an HTTP/2 client is asked whether it is there, and how long it has for the answer. */
  pingInterval: 30 * SECOND,
  pingTime: 20 * SECOND,
  /** What `node:http2` may hold for one connection. */
  sessionMemory: 64_000_000,
  /** Bytes that wait for a slow reader before reading from the other side pauses. */
  writeBuffer: 64 * KIB,

  /** What all connections are read into in turn. */
  readBuffer: 64 * KIB,
  /** What a connection with a large body is read into, and how many of them a worker has. */
  bulkBuffer: 256 * KIB,
  bulkBuffers: 64,

  /** How often time limits are looked at. */
  sweepInterval: 1 * SECOND,
} as const;

/** Takes what the operator has set, before the first connection: parts of a connection are made to these measures. */
export function setClientLimits(given: ClientLimits): void {
  Object.assign(limits, given, { targetBytes: given.headBytes / 2 });
}

/** What Node takes when nothing is said. */
const HEADER_LIST_BYTES = 65_535;

/** As HTTP/2 counts, with 32 bytes beside each field (RFC 9113, section 6.5.2): what is beyond our own limit gets an answer. */
export function headerListSize(): number {
  return Math.max(HEADER_LIST_BYTES, limits.headBytes + 32 * limits.headerCount);
}
