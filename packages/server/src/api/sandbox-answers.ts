// How a record looks on the wire.
import { AGENT_PROTOCOL_VERSION } from '@sandport/protocol/agent-port';
import {
  CLIENT_ID,
  type ListedSandbox,
  type NetworkOptions,
  type Sandbox,
  type SandboxDetail,
} from '@sandport/protocol/api';
import type { EgressProxyOption } from '../sandboxes/egress-proxy-option.ts';
import { redactedRules } from '../sandboxes/header-rules.ts';
import { hasPrivatePorts } from '../sandboxes/private-ports.ts';
import { type NetworkSpec, publicState, type SandboxRecord } from '../sandboxes/sandbox-record.ts';
import type { SandboxTokens } from '../sandboxes/sandbox-tokens.ts';

/** Answer of create and connect: the only ones with the tokens, next to the detail's agent token. */
export function sandboxAnswer(record: SandboxRecord, tokens: SandboxTokens): Sandbox {
  return {
    templateID: record.spec.templateId,
    alias: record.spec.alias,
    sandboxID: record.id,
    clientID: CLIENT_ID,
    envdVersion: AGENT_PROTOCOL_VERSION,
    ...(record.spec.secure && { envdAccessToken: tokens.agentAccess(record.id) }),
    ...(hasPrivatePorts(record.spec.network) && { trafficAccessToken: tokens.trafficAccess(record.id) }),
    // The clients then build host names from the domain that they were given.
    domain: null,
  };
}

export function listedAnswer(record: SandboxRecord): ListedSandbox {
  return {
    templateID: record.spec.templateId,
    alias: record.spec.alias,
    sandboxID: record.id,
    clientID: CLIENT_ID,
    startedAt: new Date(record.startedAt).toISOString(),
    endAt: new Date(record.endAt).toISOString(),
    cpuCount: record.spec.limits.cpuCount,
    memoryMB: record.spec.limits.memoryMB,
    diskSizeMB: record.spec.limits.diskSizeMB,
    metadata: { ...record.spec.metadata },
    state: publicState(record) ?? 'running',
    envdVersion: AGENT_PROTOCOL_VERSION,
  };
}

export function detailAnswer(record: SandboxRecord, tokens: SandboxTokens): SandboxDetail {
  const { network, secure, lifecycle } = record.spec;
  return {
    ...listedAnswer(record),
    ...(secure && { envdAccessToken: tokens.agentAccess(record.id) }),
    ...(network.allowInternetAccess !== undefined && { allowInternetAccess: network.allowInternetAccess }),
    domain: null,
    network: networkAnswer(network),
    lifecycle: { autoResume: lifecycle.autoResume, onTimeout: lifecycle.onTimeout },
  };
}

export function networkAnswer(network: NetworkSpec): NetworkOptions {
  return {
    allowPublicTraffic: network.allowPublicTraffic,
    ...(network.publicPorts !== undefined && { publicPorts: [...network.publicPorts] }),
    ...(network.privatePorts !== undefined && { privatePorts: [...network.privatePorts] }),
    ...(network.maskRequestHost !== undefined && { maskRequestHost: network.maskRequestHost }),
    ...(network.maskRequestOrigin && { maskRequestOrigin: true }),
    ...(network.http2Ports !== undefined && { http2Ports: [...network.http2Ports] }),
    ...(network.allowOut.length > 0 && { allowOut: [...network.allowOut] }),
    ...(network.denyOut.length > 0 && { denyOut: [...network.denyOut] }),
    ...(network.rules !== undefined && { rules: redactedRules(network.rules) }),
    ...(network.egressProxy !== undefined && { egressProxy: withoutPassword(network.egressProxy) }),
  };
}

function withoutPassword({ address, username }: EgressProxyOption): { address: string; username?: string } {
  return { address, ...(username !== undefined && { username }) };
}
