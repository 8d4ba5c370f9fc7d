// What a worker can say about its traffic: counts for Prometheus, and on request a line for every answer. A line never has
// a query, a cookie or another header's value: tokens travel in those.

import { createWriteStream, fstatSync, type WriteStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { Histogram } from '@sandport/protocol/histogram';
import type { WorkerReport } from '@sandport/protocol/routes';
import type { Arrival } from './context.ts';
import type { RequestFacts } from './routing/request-facts.ts';

const STATUSES = 600;
const LONGEST_TEXT = 2048;
/** Bytes of lines that wait for a slow disk; more are lost rather than kept in memory. */
const MOST_WAITING = 16 * 1024 * 1024;

/** How often a look is taken whether the log has been moved away, as programs that rotate logs do. */
const LOOK_MS = 1000;

/** What is known of a request at its start. */
export interface Observed {
  readonly startedAt: number;
  readonly line: object | undefined;
}

export class Observation {
  readonly #statuses = [new Float64Array(STATUSES), new Float64Array(STATUSES)] as const;
  readonly #firstByte = new Histogram();
  readonly #path: string | undefined;
  readonly #looking: NodeJS.Timeout | undefined;
  #log: WriteStream | undefined;
  /** Of the file that is open: its number on its device. */
  #inode: number | undefined;

  /** @param accessLog file that lines are appended to; when it is moved away, another one is begun */
  constructor(accessLog: string | undefined) {
    this.#path = accessLog;
    if (accessLog === undefined) return;
    this.#log = this.#open(accessLog);
    this.#looking = setInterval(() => void this.#look(accessLog), LOOK_MS).unref();
  }

  #open(path: string): WriteStream {
    const log = createWriteStream(path, { flags: 'a', mode: 0o600 });
    // A disk that is full must not end the worker.
    log.on('error', () => {});
    log.on('open', (fd: number) => {
      if (log === this.#log) this.#inode = fstatSync(fd).ino;
    });
    return log;
  }

  async #look(path: string): Promise<void> {
    const before = this.#log;
    const found = await stat(path).catch((error: NodeJS.ErrnoException) => error.code);
    const isMoved = typeof found === 'string' ? found === 'ENOENT' : found !== undefined && found.ino !== this.#inode;
    if (this.#inode === undefined || !isMoved || before === undefined || before !== this.#log) return;
    this.#inode = undefined;
    this.#log = this.#open(path);
    before.end();
  }

  get logs(): boolean {
    return this.#path !== undefined;
  }

  /** The line of a request, without its outcome. */
  line(request: RequestFacts, arrival: Arrival, version: string): object {
    const path = request.path();
    const query = path.indexOf('?');
    return {
      client: arrival.address,
      version,
      secure: arrival.secure,
      method: request.method,
      host: request.host.slice(0, LONGEST_TEXT),
      path: (query === -1 ? path : path.slice(0, query)).slice(0, LONGEST_TEXT),
    };
  }

  /**
   * Counts an answer, when its first byte leaves.
   *
   * @param startedAt of `performance.now`, once the request's head had been read
   * @param major version of HTTP
   */
  answered(major: 1 | 2, status: number, startedAt: number, line: object | undefined): void {
    const ms = performance.now() - startedAt;
    this.#statuses[major - 1]![status]!++;
    this.#firstByte.observe(ms);
    const log = this.#log;
    if (log === undefined || log.writableLength > MOST_WAITING) return;
    log.write(
      `${JSON.stringify({ time: new Date().toISOString(), ...line, status, ms: Math.round(ms * 100) / 100 })}\n`,
    );
  }

  report(connections: number, received: number, sent: number): WorkerReport {
    const answers = this.#statuses.flatMap((statuses, index) =>
      [...statuses].flatMap((count, status) => (count === 0 ? [] : [{ version: `${index + 1}`, status, count }])),
    );
    const { counts, sum } = this.#firstByte;
    return { answers, firstByte: { counts: [...counts], sum }, connections, received, sent };
  }

  async end(): Promise<void> {
    clearInterval(this.#looking);
    const log = this.#log;
    if (log !== undefined) await new Promise<void>((resolve) => log.end(() => resolve()));
  }
}
