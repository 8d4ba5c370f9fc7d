// What one sandbox may reach, as the machine enforces it: validated, normalised, ready for the packet filter.

/** Looked at in this order: allowed addresses, denied addresses; without a match traffic passes. */
export interface EgressPolicy {
  /** IPv4 ranges in CIDR form, none of which overlaps another. */
  readonly allow: readonly string[];
  readonly deny: readonly string[];
}

/** Everything that is no one's on the internet: private, local, shared, benchmarking, multicast, reserved. */
export const NEVER_REACHED = [
  '0.0.0.0/8',
  '10.0.0.0/8',
  '100.64.0.0/10',
  '127.0.0.0/8',
  '169.254.0.0/16',
  '172.16.0.0/12',
  '192.168.0.0/16',
  '198.18.0.0/15',
  '224.0.0.0/3',
] as const;
