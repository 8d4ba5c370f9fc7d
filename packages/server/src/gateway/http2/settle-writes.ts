// A stream of `node:http2` is destroyed before its last write is confirmed. `node:stream` then makes an error, with a stack, for
// callbacks that may be waiting for the end, whether there are any or not, which takes a tenth of the processor time of a small
// answer. Where the stream has an error already, that one is taken.

import type { ServerHttp2Stream } from 'node:http2';

interface Internals {
  _destroy: (this: ServerHttp2Stream, error: Error | null, done: (error?: Error | null) => void) => void;
  readonly _writableState?: { errored?: Error | null };
}

const CLOSED = new Error('the stream is closed');

/** To be called before anything is written. */
export function settleWrites(stream: ServerHttp2Stream): void {
  (stream as unknown as Internals)._destroy = destroyWithError;
}

/** The error is not passed on: `_destroy` and all that it tells see a stream that ended in order. */
function destroyWithError(this: ServerHttp2Stream, error: Error | null, done: (error?: Error | null) => void): void {
  const { _writableState: state } = this as unknown as Internals;
  if (state !== undefined) state.errored ??= CLOSED;
  const { _destroy } = Object.getPrototypeOf(this) as Internals;
  _destroy.call(this, error, done);
}
