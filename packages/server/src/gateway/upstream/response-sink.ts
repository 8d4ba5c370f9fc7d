import type { ResponseHead } from '../http1/response-head.ts';

/** Why no response came, or why one broke off. */
export type UpstreamFailure = 'refused' | 'unreachable' | 'broken' | 'malformed';

/** What an upstream connection tells the request that it serves. Buffers are valid during the call only. */
export interface ResponseSink {
  /** Whether it wants the contents of a chunked body instead of the chunks as they came. */
  readonly decodes: boolean;
  /** An informational response (1xx) other than 101. */
  onInterim(head: ResponseHead): void;
  /** The server switches protocols: [start, end) of `buf` and all that follows belong to the tunnel. */
  onUpgrade(head: ResponseHead, buf: Buffer, start: number, end: number): void;
  /** The response, with what has come of its body. `done`: there is no more, and the connection is no longer ours. */
  onResponse(head: ResponseHead, buf: Buffer, start: number, end: number, done: boolean): void;
  /** More of the body, or of the tunnel. `done` as above; in a tunnel: the server has sent its last byte. */
  onBody(buf: Buffer, start: number, end: number, done: boolean): void;
  /** Only for a sink that decodes, and before the call that is `done`. */
  onTrailer(section: Buffer): void;
  /** Nothing more will come. The connection is gone. */
  onFailure(failure: UpstreamFailure): void;
  /** The sandbox is gone: the client has to see an abrupt end. */
  onRouteGone(): void;
  /** The server has taken the bytes that were waiting: reading from the client may go on. */
  onUpstreamDrain(): void;
}
