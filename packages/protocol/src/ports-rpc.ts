// Messages of the agent's ports service, in the JSON form in which they travel (proto3 JSON mapping): zero values are
// absent, a oneof is the one field that is present.

export const PORTS_SERVICE = 'sandport.Ports';

/** A TCP port that a server in the sandbox listens on. */
export interface ListeningPort {
  readonly port: number;
  /** Those that the server has bound, such as `0.0.0.0` or `::1`. */
  readonly addresses: readonly string[];
  readonly loopbackOnly?: boolean;
  /** Of one process that listens; absent when it is not known. */
  readonly pid?: number;
  readonly program?: string;
}

export interface ListPortsResponse {
  readonly ports?: readonly ListeningPort[];
}

/** A message of the stream of Watch; the first one is `start`, with what is open then. */
export type PortStreamMessage =
  | { readonly start: ListPortsResponse }
  | { readonly opened: ListeningPort }
  | { readonly closed: ListeningPort }
  | { readonly keepalive: object };
