import type { EgressTraffic } from './messages.ts';

export const NO_TRAFFIC: EgressTraffic = Object.freeze({ connections: 0, sentBytes: 0, receivedBytes: 0, denied: 0 });

export function addTraffic(one: EgressTraffic, other: EgressTraffic): EgressTraffic {
  return {
    connections: one.connections + other.connections,
    sentBytes: one.sentBytes + other.sentBytes,
    receivedBytes: one.receivedBytes + other.receivedBytes,
    denied: one.denied + other.denied,
  };
}
