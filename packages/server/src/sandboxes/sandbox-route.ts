// What the gateways are told of a sandbox.
import type { Route, RouteAccess } from '@sandport/protocol/routes';
import { hasPrivatePorts, privatePortsOf } from './private-ports.ts';
import type { RunningSandbox, SandboxRecord } from './sandbox-record.ts';
import { type SandboxTokens, sha256Hex } from './sandbox-tokens.ts';

export function runningRoute(record: RunningSandbox, tokens: SandboxTokens): Route {
  return { ...common(record, tokens), address: record.placement.address };
}

/**
 * Of a sandbox that does not run now: requests wait for its next route.
 *
 * @param wake whether they are to wake it
 */
export function heldRoute(record: SandboxRecord, tokens: SandboxTokens, wake: boolean): Route {
  const agentTokenSha256 = record.spec.secure ? sha256Hex(tokens.agentAccess(record.id)) : undefined;
  return {
    ...common(record, tokens),
    // Never dialled.
    address: '0.0.0.0',
    held: { wake, ...(agentTokenSha256 !== undefined && { agentTokenSha256 }) },
  };
}

/** Of a paused sandbox that requests do not wake: they are told so at once. */
export function pausedRoute(record: SandboxRecord, tokens: SandboxTokens): Route {
  return { ...common(record, tokens), address: '0.0.0.0', held: { wake: false, paused: true } };
}

function common(record: SandboxRecord, tokens: SandboxTokens): Omit<Route, 'address'> {
  const { network } = record.spec;
  return {
    sandboxId: record.id,
    generation: record.generation,
    tunnelToken: tokens.loopbackTunnel(record.id),
    access: hasPrivatePorts(network) ? privateAccess(record, tokens) : { kind: 'public' },
    ...(network.maskRequestHost !== undefined && { maskRequestHost: network.maskRequestHost }),
    ...(network.maskRequestOrigin && { masksOrigin: true }),
    ...(network.http2Ports !== undefined && { http2Ports: network.http2Ports }),
  };
}

function privateAccess({ id, spec: { network } }: SandboxRecord, tokens: SandboxTokens): RouteAccess {
  const { session, url } = tokens.passKeys(id, network.urlGeneration ?? 0);
  const ports = privatePortsOf(network);
  return {
    kind: 'token',
    tokenSha256: sha256Hex(tokens.trafficAccess(id)),
    sessionKey: session.toString('base64'),
    urlKey: url.toString('base64'),
    ...(ports !== undefined && { ports }),
  };
}
