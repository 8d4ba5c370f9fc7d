// Which ports of a sandbox answer only those who have its traffic access token.
import type { PrivatePorts } from '@sandport/protocol/routes';
import type { NetworkSpec } from './sandbox-record.ts';

/** Whether the sandbox has a traffic access token. */
export function hasPrivatePorts({ allowPublicTraffic, privatePorts }: NetworkSpec): boolean {
  return !allowPublicTraffic || (privatePorts?.length ?? 0) > 0;
}

export function isPrivatePort(network: NetworkSpec, port: number): boolean {
  if (network.allowPublicTraffic) return network.privatePorts?.includes(port) === true;
  return network.publicPorts?.includes(port) !== true;
}

/** As the gateways are told; undefined where all of them are private. */
export function privatePortsOf({
  allowPublicTraffic,
  publicPorts,
  privatePorts,
}: NetworkSpec): PrivatePorts | undefined {
  if (allowPublicTraffic) return { only: privatePorts ?? [] };
  return publicPorts?.length ? { except: publicPorts } : undefined;
}
