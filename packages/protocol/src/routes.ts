// What the control process and a gateway worker say to each other: one JSON object a line over a Unix socket.
// A worker that connects gets one snapshot and after it the changes; upward it says which sandboxes are to
// wake, and which are in use again.

import type { HistogramCounts } from './histogram.ts';

/** Whom a sandbox's public URLs answer. The token itself never travels: a worker compares SHA-256 digests. */
export type RouteAccess =
  | { readonly kind: 'public' }
  | {
      readonly kind: 'token';
      /** SHA-256 of the traffic access token, lower-case hex. */
      readonly tokenSha256: string;
      /** 32 bytes each, base64; see `PassKeys`. They are of use for this sandbox only. */
      readonly sessionKey: string;
      readonly urlKey: string;
      /** Which ports are private; all of them where it is absent. */
      readonly ports?: PrivatePorts;
    };

export type PrivatePorts = { readonly only: readonly number[] } | { readonly except: readonly number[] };

export interface HeldRoute {
  /** Whether the first request is told upward, to have the sandbox resumed; else its next route comes by itself. */
  readonly wake: boolean;
  /** Nothing brings it back by itself: no request waits. */
  readonly paused?: true;
  /** SHA-256 of the agent's access token, lower-case hex: only who has it wakes a sandbox by the agent's port. */
  readonly agentTokenSha256?: string;
}

/** What the gateway knows of one sandbox. */
export interface Route {
  readonly sandboxId: string;
  /** Changes with every start of the sandbox; a pooled upstream connection is never reused across it. */
  readonly generation: string;
  /** IPv4 address of the sandbox's slot, as the host sees it. It comes from the host only. */
  readonly address: string;
  readonly access: RouteAccess;
  /** With which the agent is asked to dial a server on the sandbox's loopback; without it such servers are not reached. */
  readonly tunnelToken?: string;
  /** Present while the sandbox does not run: requests that have access wait for its next route. */
  readonly held?: HeldRoute;
  /** Value of `network.maskRequestHost`, with `${PORT}` still in it. */
  readonly maskRequestHost?: string;
  /** Whether Origin, Referer and Location are translated between the public and the masked host too. */
  readonly masksOrigin?: boolean;
  /** Ports whose servers get HTTP/2 (without TLS) whenever the client speaks it. gRPC gets it on every port. */
  readonly http2Ports?: readonly number[];
}

/** What answers `LABEL.DOMAIN` itself, such as the API: a Unix socket of the control process. */
export interface ServiceRoute {
  /** Leftmost label of the host name, such as `api`. */
  readonly label: string;
  readonly socketPath: string;
}

/** PEM certificate chain and key for the domain, and what makes session tickets valid in every worker. */
export interface GatewayTls {
  readonly cert: string;
  readonly key: string;
  /** 48 bytes, base64 (`ticketKeys` of `tls.createServer`). */
  readonly ticketKeys: string;
}

export interface GatewaySettings {
  /** The domain under which sandboxes have their names, lower case, without a port. */
  readonly domain: string;
  /** Where every worker listens (with SO_REUSEPORT). TLS, HTTP/1.1 and HTTP/2 are told apart by the first bytes. */
  readonly listen: readonly ListenAddress[];
  /** File that every worker appends a line to for each answer; without it there are none. */
  readonly accessLog?: string;
  /** Default: `defaultTrafficLimits`. */
  readonly limits?: TrafficLimits;
  /** Default: `defaultClientLimits`. */
  readonly clients?: ClientLimits;
  /** Whether requests without TLS to names of the domain are sent to HTTPS. */
  readonly redirectToHttps?: boolean;
  /** Addresses and CIDR ranges of proxies in front whose word about their clients counts. */
  readonly trustedProxies?: readonly string[];
}

/**
 * Of all workers together; 0: no limit. Workers tell each other what they have five times a second, so that a burst may for
 * so long get as much from each of them.
 */
export interface TrafficLimits {
  /** Connections to one sandbox that are in use or kept for reuse. */
  readonly connectionsPerSandbox: number;
  /** Connections from one address, but from trusted proxies. */
  readonly connectionsPerClient: number;
  /** Requests a second to the ports of one sandbox, without the agent's. */
  readonly requestsPerSecond: number;
  /** Bytes of one request's body. */
  readonly bodyBytes: number;
}

export const defaultTrafficLimits: TrafficLimits = {
  connectionsPerSandbox: 8192,
  connectionsPerClient: 4096,
  requestsPerSecond: 0,
  bodyBytes: 0,
};

/** What one connection of a client may take. */
export interface ClientLimits {
  /** Bytes of a request's or an answer's head; half of them may be the request's target. */
  readonly headBytes: number;
  /** Header lines of a request or an answer. */
  readonly headerCount: number;
  /** Milliseconds from the first byte of a request's head to its last, over HTTP/1.1. */
  readonly headTime: number;
  /** Milliseconds without a request, after which a connection is ended. */
  readonly idleTime: number;
}

export const defaultClientLimits: ClientLimits = {
  headBytes: 64 * 1024,
  headerCount: 200,
  headTime: 30_000,
  idleTime: 620_000,
};

export interface ListenAddress {
  /** A literal IPv4 or IPv6 address. */
  readonly host: string;
  /** 1 to 65535. */
  readonly port: number;
}

/** Codes of the error table. */
export type WakeFailure = 'url_sandbox_not_found' | 'url_too_many_sandboxes' | 'url_machine_full' | 'url_wake_failed';

/** What a worker has of what is limited, or all others together; left out is what is a small part of its limit. */
export interface TrafficUsage {
  /** Connections to sandboxes, by ID. */
  readonly sandboxes: readonly TrafficCount[];
  /** Connections from client addresses. */
  readonly clients: readonly TrafficCount[];
  /** Requests to sandboxes in the last whole second, refused ones too. */
  readonly requests: readonly TrafficCount[];
}

export const NO_USAGE: TrafficUsage = { sandboxes: [], clients: [], requests: [] };

export type TrafficCount = readonly [name: string, count: number];

/** From the control process to a worker. */
export type GatewayDownward =
  | {
      readonly type: 'snapshot';
      readonly settings: GatewaySettings;
      readonly tls: GatewayTls;
      readonly services: readonly ServiceRoute[];
      readonly routes: readonly Route[];
      /** How many share the ports, and so the limits. */
      readonly workers: number;
    }
  /** What the other workers have. */
  | { readonly type: 'usage-elsewhere'; readonly usage: TrafficUsage }
  | {
      readonly type: 'set-route';
      readonly route: Route /** Answered by `applied` with the same number. */;
      readonly sequence: number;
    }
  | { readonly type: 'delete-route'; readonly sandboxId: string; readonly sequence: number }
  /** Requests that wait for this sandbox are answered with the error. */
  | { readonly type: 'wake-failed'; readonly sandboxId: string; readonly code: WakeFailure }
  | { readonly type: 'set-tls'; readonly tls: GatewayTls }
  /** Answered by `report` with the same number. */
  | { readonly type: 'report'; readonly sequence: number }
  | { readonly type: 'stop' /** How long open requests may go on, in milliseconds. */; readonly graceMs: number };

/** Since the worker started. */
export interface WorkerReport {
  /** Answers by major version of HTTP and status. */
  readonly answers: readonly { readonly version: string; readonly status: number; readonly count: number }[];
  readonly firstByte: HistogramCounts;
  /** Open now. */
  readonly connections: number;
  /** Bytes from and to clients. */
  readonly received: number;
  readonly sent: number;
}

/** From a worker to the control process. */
export type GatewayUpward =
  | { readonly type: 'hello'; readonly pid: number }
  /** The worker listens and serves the snapshot. */
  | { readonly type: 'ready' }
  | { readonly type: 'applied'; readonly sequence: number }
  | { readonly type: 'report'; readonly sequence: number; readonly report: WorkerReport }
  | { readonly type: 'usage'; readonly usage: TrafficUsage }
  /** A request waits for a sandbox whose route says `wake`. Answered by another route or by `wake-failed`. */
  | { readonly type: 'wake'; readonly sandboxId: string }
  /** A sandbox that runs is asked for something; said once a second while it is. */
  | { readonly type: 'used'; readonly sandboxId: string }
  | { readonly type: 'failed'; readonly message: string };
