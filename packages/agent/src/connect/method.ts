// The three kinds of RPC method, and a service as the table of its methods.
import type { Call } from './call.ts';
import type { MessageStream } from './message-stream.ts';

export interface UnaryMethod {
  readonly kind: 'unary';
  handle(request: unknown, call: Call): unknown;
}

/** Sends to the stream and ends it, now or later; a throw ends it with that error. */
export interface ServerStreamMethod {
  readonly kind: 'server-stream';
  handle(request: unknown, call: Call, stream: MessageStream): void | Promise<void>;
}

/** Takes the messages one by one; what it returns is the answer. */
export interface ClientStreamMethod {
  readonly kind: 'client-stream';
  handle(requests: AsyncIterable<unknown>, call: Call): Promise<unknown>;
}

export type Method = UnaryMethod | ServerStreamMethod | ClientStreamMethod;

export interface Service {
  /** As in the request path: `/process.Process/Start` is method `Start` of `process.Process`. */
  readonly name: string;
  readonly methods: ReadonlyMap<string, Method>;
}

/** A method by its names: `Start` of `process.Process`. */
export interface MethodName {
  readonly service: string;
  readonly method: string;
}
