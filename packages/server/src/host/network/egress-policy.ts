// What one sandbox may reach, as the machine enforces it: validated, normalised, ready for packet filter and proxy.

/** Looked at in this order: allowed names and addresses, denied addresses; without a match traffic passes. */
export interface EgressPolicy {
  /** IPv4 ranges in CIDR form, none of which overlaps another. */
  readonly allow: readonly string[];
  readonly deny: readonly string[];
  /** Names and patterns that are allowed, in lower case: `example.com`, `*.example.com`, `*`. */
  readonly domains: readonly string[];
  /** Headers added to requests to a name; the first that fits best is applied. Grants no access by itself. */
  readonly transforms: readonly HeaderTransform[];
  /** Through which all TCP leaves. */
  readonly proxy?: SocksProxy;
  /** From which the key of the sandbox's certificate authority is derived, hex; set where there are transforms. */
  readonly authority?: string;
}

export interface HeaderTransform {
  /** A name or a pattern such as `*.example.com`, in lower case. */
  readonly domain: string;
  readonly headers: Readonly<Record<string, string>>;
}

export interface SocksProxy {
  readonly host: string;
  readonly port: number;
  readonly username?: string;
  readonly password?: string;
}

/**
 * Everything that is no one's on the internet: private, local, shared, of protocols, benchmarking, multicast, reserved;
 * and the one public address that is a cloud's own service on its machines (Azure's 168.63.129.16). Addresses for
 * documentation (RFC 5737) lead nowhere by themselves.
 */
export const NEVER_REACHED = [
  '0.0.0.0/8',
  '10.0.0.0/8',
  '100.64.0.0/10',
  '127.0.0.0/8',
  '168.63.129.16/32',
  '169.254.0.0/16',
  '172.16.0.0/12',
  '192.0.0.0/24',
  '192.168.0.0/16',
  '198.18.0.0/15',
  '224.0.0.0/3',
] as const;

export const EVERYTHING = '0.0.0.0/0';

export const OPEN: EgressPolicy = { allow: [], deny: [], domains: [], transforms: [] };
