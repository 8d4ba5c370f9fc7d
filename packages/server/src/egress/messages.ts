// What the control process and the egress process say to each other, one JSON object a line over a Unix socket.
import type { EgressPolicy } from '../host/network/egress-policy.ts';

export interface EgressSettings {
  /** Nameservers of the machine, in order. */
  readonly nameservers: readonly string[];
  /** Private ranges that sandboxes may reach all the same. */
  readonly permitted: readonly string[];
  /** As whom the process runs once it listens. */
  readonly uid: number;
  /** Connections of one sandbox through the proxy at once. */
  readonly maxConnections: number;
}

export interface EgressFeed {
  /** Of the slot. */
  readonly address: string;
  readonly policy: EgressPolicy;
}

export interface EgressTraffic {
  connections: number;
  sentBytes: number;
  receivedBytes: number;
  denied: number;
}

export interface Denial {
  /** Milliseconds since 1970. */
  readonly at: number;
  readonly protocol: 'tcp' | 'udp' | 'dns';
  readonly name?: string | undefined;
  readonly address?: string | undefined;
  readonly port?: number | undefined;
  readonly reason: string;
  /** How often the same was denied. */
  readonly count: number;
}

export interface SandboxReport {
  readonly traffic: EgressTraffic;
  readonly denials: readonly Denial[];
  /** Names by which the sandbox came to know the addresses that were asked for. */
  readonly names: Readonly<Record<string, string>>;
}

/** Every one is answered with `EgressDone` of the same sequence. */
export type EgressRequest =
  | { readonly type: 'snapshot'; readonly sequence: number; readonly sandboxes: readonly EgressFeed[] }
  | { readonly type: 'set'; readonly sequence: number; readonly sandbox: EgressFeed }
  | { readonly type: 'delete'; readonly sequence: number; readonly address: string }
  | { readonly type: 'traffic'; readonly sequence: number }
  | {
      readonly type: 'report';
      readonly sequence: number;
      readonly address: string;
      readonly addresses: readonly string[];
    }
  | { readonly type: 'stop'; readonly sequence: number };

export interface EgressHello {
  readonly type: 'hello';
  readonly pid: number;
  readonly settings: EgressSettings;
  readonly ports: EgressPorts;
}

/** On which the process listens, on all addresses; the packet filter lets only sandboxes reach them. */
export interface EgressPorts {
  readonly dns: number;
  readonly proxy: number;
}

export interface EgressDone {
  readonly type: 'done';
  readonly sequence: number;
  readonly result?: unknown;
}
