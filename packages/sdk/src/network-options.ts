// What a sandbox may reach, and who may reach it.
import { InvalidArgumentError } from './errors.ts';
import { refuseUnsupported } from './unsupported-options.ts';

/** Every address, for `denyOut`. */
export const ALL_TRAFFIC = '0.0.0.0/0';

export interface NetworkSelectorContext {
  readonly allTraffic: string;
  /** As given in `rules`. */
  readonly rules: ReadonlyMap<string, readonly NetworkRule[]>;
}

export type NetworkSelector = readonly string[] | ((context: NetworkSelectorContext) => readonly string[]);

export interface NetworkRule {
  readonly transform?: {
    /** Added to each request to the host, in place of what the sandbox sends under the same name. */
    readonly headers?: Readonly<Record<string, string>>;
  };
}

/** By name of the host or pattern such as `*.example.com`; at most one transform each. */
export type NetworkRules =
  | Readonly<Record<string, readonly NetworkRule[]>>
  | ReadonlyMap<string, readonly NetworkRule[]>;

/** A SOCKS5 proxy. */
export interface EgressProxy {
  /** `HOST:PORT`. */
  readonly address: string;
  readonly username?: string | undefined;
  /** Never reported back. Asks for a username. */
  readonly password?: string | undefined;
}

export interface NetworkUpdate {
  /** Addresses, CIDR ranges and names (`example.com`, `*.example.com`) that may be reached although `denyOut` has them. */
  readonly allowOut?: NetworkSelector | undefined;
  /** Addresses and CIDR ranges that may not be reached. Names in `allowOut` ask for `ALL_TRAFFIC` here. */
  readonly denyOut?: NetworkSelector | undefined;
  /** Headers that requests to a host get on their way, which the sandbox never sees. Grants no access by itself. */
  readonly rules?: NetworkRules | undefined;
  /** Through which all TCP of the sandbox leaves, after `allowOut` and `denyOut`. */
  readonly egressProxy?: EgressProxy | undefined;
  /** False: nothing outside may be reached. */
  readonly allowInternetAccess?: boolean | undefined;
}

export interface NetworkOptions extends Omit<NetworkUpdate, 'allowInternetAccess'> {
  /**
   * False: public URLs answer only with `trafficAccessToken` in the header `e2b-traffic-access-token`, by a signed URL, or
   * to a browser that is signed in. Default true.
   */
  readonly allowPublicTraffic?: boolean | undefined;
  /** Ports that answer everyone although `allowPublicTraffic` is false. */
  readonly publicPorts?: readonly number[] | undefined;
  /** Ports that are private although `allowPublicTraffic` is not false. */
  readonly privatePorts?: readonly number[] | undefined;
  /** The Host header that servers inside see; `${PORT}` stands for the requested port. */
  readonly maskRequestHost?: string | undefined;
  /** Whether Origin and Referer are masked too, and redirects translated back. Default false. */
  readonly maskRequestOrigin?: boolean | undefined;
  /**
   * Ports whose servers speak HTTP/2 without TLS: they get it from clients that speak HTTP/2. gRPC gets it on every port
   * without this. Default none.
   */
  readonly http2Ports?: readonly number[] | undefined;
}

/** The form on the wire. Throws an InvalidArgumentError on options of `e2b` that there are not here. */
export function networkBody(options: NetworkOptions): object {
  refuseUnsupported('network.', options, UNSUPPORTED);
  const { allowPublicTraffic, publicPorts, privatePorts, maskRequestHost, maskRequestOrigin, http2Ports } = options;
  return {
    ...egressBody(options),
    allowPublicTraffic,
    publicPorts,
    privatePorts,
    maskRequestHost,
    maskRequestOrigin,
    http2Ports,
  };
}

/** Throws as `networkBody` does. */
export function networkUpdateBody(update: NetworkUpdate): object {
  refuseUnsupported('network.', update, UNSUPPORTED);
  return { ...egressBody(update), allow_internet_access: update.allowInternetAccess };
}

const UNSUPPORTED = ['httpsPorts'];

function egressBody({ allowOut, denyOut, rules, egressProxy }: NetworkUpdate): object {
  const byHost = rules instanceof Map ? rules : new Map(Object.entries(rules ?? {}));
  for (const [host, list] of byHost) {
    if (list.some(({ transform }: NetworkRule) => typeof transform === 'function')) {
      throw new InvalidArgumentError(`network.rules of "${host}": a transform is an object; this server has no tokens`);
    }
  }
  const context: NetworkSelectorContext = { allTraffic: ALL_TRAFFIC, rules: byHost };
  return {
    allowOut: addresses(allowOut, context),
    denyOut: addresses(denyOut, context),
    rules: rules === undefined ? undefined : Object.fromEntries(byHost),
    egressProxy,
  };
}

function addresses(
  selector: NetworkSelector | undefined,
  context: NetworkSelectorContext,
): readonly string[] | undefined {
  return typeof selector === 'function' ? selector(context) : selector;
}
