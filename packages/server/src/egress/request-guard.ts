// Follows the requests of a plain connection without changing them, and stops at the first that is not for its host.
import { BodyReader } from '../gateway/http1/body.ts';
import { Parse } from '../gateway/http1/field-table.ts';
import { RequestHead } from '../gateway/http1/request-head.ts';
import { readHostName } from './domain-pattern.ts';

const MAX_HEAD = 65_536;
/** Pieces of one head, each of which is looked at with all before it. */
const MAX_PIECES = 100;
const NOTHING = Buffer.alloc(0);
/** For all connections: what is read into it is used at once, and making one takes longer than all else here. */
const head = new RequestHead();

export class RequestGuard {
  readonly #name: string;
  readonly #body = new BodyReader();
  /** The beginning of a head that has not come whole; it is held back. */
  #held: Buffer = NOTHING;
  #pieces = 0;
  #heads = 0;

  constructor(name: string) {
    this.#name = name;
  }

  /** The number of the head that has begun and not ended; undefined between heads. */
  get begun(): number | undefined {
    return this.#held.length === 0 ? undefined : this.#heads;
  }

  /** What of the bytes, and of those held back, may go on; with `stop` nothing may that comes after. */
  take(chunk: Buffer): { readonly bytes: Buffer; readonly stop: boolean } {
    const buf = this.#held.length === 0 ? chunk : Buffer.concat([this.#held, chunk]);
    let pos = 0;
    while (pos < buf.length) {
      if (!this.#body.done) {
        pos = this.#body.read(buf, pos, buf.length);
        if (this.#body.failed) return { bytes: buf.subarray(0, pos), stop: true };
        continue;
      }
      const end = head.read(buf, pos, buf.length);
      if (end === Parse.incomplete && buf.length - pos <= MAX_HEAD && ++this.#pieces <= MAX_PIECES) break;
      if (end < 1 || !this.#isForHost()) return { bytes: buf.subarray(0, pos), stop: true };
      this.#pieces = 0;
      this.#heads++;
      this.#body.begin(head.framing, head.contentLength);
      pos = end;
    }
    this.#held = pos === buf.length ? NOTHING : Buffer.from(buf.subarray(pos));
    return { bytes: buf.subarray(0, pos), stop: false };
  }

  /** What follows an upgrade is in no one's protocol, so that none is passed on. */
  #isForHost(): boolean {
    const host = readHostName(head.host.replace(/:\d{1,5}$/, ''));
    return host === this.#name && head.header('upgrade') === undefined;
  }
}
