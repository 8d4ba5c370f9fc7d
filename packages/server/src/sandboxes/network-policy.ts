// Reads the network options of a creation or update: the one place where addresses from a client become rules.
import { isIP, isIPv4 } from 'node:net';
import { domainToASCII } from 'node:url';
import { SandportError } from '@sandport/protocol/errors';
import { disjointRanges } from '../egress/address-ranges.ts';
import { readPattern } from '../egress/domain-pattern.ts';
import { type EgressPolicy, EVERYTHING } from '../host/network/egress-policy.ts';
import { type EgressProxyOption, readEgressProxy } from './egress-proxy-option.ts';
import { type HeaderRules, headerTransforms, validateHeaderRules } from './header-rules.ts';
import type { NetworkSpec } from './sandbox-record.ts';

export interface EgressRequest {
  readonly allowInternetAccess?: boolean | undefined;
  readonly allowOut?: readonly string[] | undefined;
  readonly denyOut?: readonly string[] | undefined;
  readonly rules?: HeaderRules | undefined;
  readonly egressProxy?: EgressProxyOption | undefined;
}

/** Throws `invalid_network_rule` with the words that the official clients show. */
export function validateEgress(request: EgressRequest): void {
  if (request.rules !== undefined) validateHeaderRules(request.rules);
  if (request.egressProxy !== undefined) readEgressProxy(request.egressProxy);
  for (const entry of request.denyOut ?? []) {
    if (parseRange(entry) === undefined) throw invalidRule(`invalid denied CIDR ${entry}`);
  }
  for (const entry of request.allowOut ?? []) {
    const address = entry.split('/')[0]!;
    if (isIP(address) !== 0) {
      if (parseRange(entry) === undefined) throw invalidRule(`invalid allowed address ${entry}`);
      continue;
    }
    if (!(request.denyOut ?? []).includes(EVERYTHING)) {
      throw invalidRule(
        "When specifying allowed domains in allow out, you must include 'ALL_TRAFFIC' in deny out to block all other traffic.",
      );
    }
    if (allowedPattern(entry) === undefined) throw invalidRule(`invalid allowed address ${entry}`);
  }
}

/**
 * The rules that the machine enforces. IPv6 entries need none: a sandbox has no IPv6 way out.
 *
 * @param authority from which the sandbox's certificate authority is derived, for headers
 */
export function egressPolicy(network: NetworkSpec, authority: string): EgressPolicy {
  const deny = network.allowInternetAccess === false ? [EVERYTHING] : network.denyOut;
  const transforms = headerTransforms(network.rules ?? {});
  return {
    allow: ranges(network.allowOut),
    deny: ranges(deny),
    domains: patterns(network.allowOut),
    transforms,
    ...(network.egressProxy !== undefined && { proxy: readEgressProxy(network.egressProxy) }),
    ...(transforms.length > 0 && { authority }),
  };
}

/** Throws `validation_failed` unless `mask`, with `${PORT}` replaced, is a host name with or without a port. */
export function validateMask(mask: string): void {
  const example = mask.replaceAll('${PORT}', '3000');
  const valid = /^(?!-)[a-z0-9_.-]{1,253}(?<!-)(?::[0-9]{1,5})?$/i.test(example) && URL.canParse(`http://${example}/`);
  if (!valid) {
    throw new SandportError(
      'validation_failed',
      `validation error: maskRequestHost "${mask}" is not a host name such as localhost:\${PORT}`,
    );
  }
}

interface Range {
  readonly address: string;
  readonly prefix: number;
}

function parseRange(entry: string): Range | undefined {
  const match = /^([^/]+)(?:\/(\d{1,3}))?$/.exec(entry);
  const address = match?.[1];
  if (address === undefined) return undefined;
  const family = isIP(address);
  if (family === 0) return undefined;
  const longest = family === 4 ? 32 : 128;
  const prefix = match?.[2] === undefined ? longest : Number(match[2]);
  if (prefix > longest) return undefined;
  const unspecified = family === 4 ? address === '0.0.0.0' : /^[0:]+$/.test(address);
  return unspecified && entry !== EVERYTHING ? undefined : { address, prefix };
}

/** A name or a pattern, as it is compared; undefined for what is none. */
function allowedPattern(entry: string): string | undefined {
  // Names of other scripts have a form in ASCII, which is the one that is looked up and sent (RFC 5891).
  const ascii = /^[\x20-\x7e]*$/.test(entry) ? entry : domainToASCII(entry);
  return readPattern(ascii, true);
}

function patterns(entries: readonly string[]): string[] {
  const names = entries.filter((entry) => isIP(entry.split('/')[0]!) === 0);
  return [...new Set(names.map((entry) => allowedPattern(entry)!))];
}

/** The packet filter's sets hold no overlapping ranges. */
function ranges(entries: readonly string[]): string[] {
  return disjointRanges(entries.filter((entry) => isIPv4(entry.split('/')[0]!)));
}

function invalidRule(message: string): SandportError {
  return new SandportError('invalid_network_rule', message);
}
