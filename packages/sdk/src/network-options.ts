// What a sandbox may reach, and who may reach it.
import { refuseUnsupported } from './unsupported-options.ts';

/** Every address, for `denyOut`. */
export const ALL_TRAFFIC = '0.0.0.0/0';

export type NetworkSelector = readonly string[] | ((context: { readonly allTraffic: string }) => readonly string[]);

export interface NetworkUpdate {
  /** Addresses and CIDR ranges that may be reached although `denyOut` has them. */
  readonly allowOut?: NetworkSelector | undefined;
  /** Addresses and CIDR ranges that may not be reached. */
  readonly denyOut?: NetworkSelector | undefined;
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
}

/** The form on the wire. Throws an InvalidArgumentError on options of `e2b` that there are not here. */
export function networkBody(options: NetworkOptions): object {
  refuseUnsupported('network.', options, UNSUPPORTED);
  const { allowPublicTraffic, publicPorts, privatePorts, maskRequestHost } = options;
  return { ...selectors(options), allowPublicTraffic, publicPorts, privatePorts, maskRequestHost };
}

/** Throws as `networkBody` does. */
export function networkUpdateBody(update: NetworkUpdate): object {
  refuseUnsupported('network.', update, UNSUPPORTED);
  return { ...selectors(update), allow_internet_access: update.allowInternetAccess };
}

const UNSUPPORTED = ['rules', 'egressProxy', 'httpsPorts'];

function selectors({ allowOut, denyOut }: Pick<NetworkUpdate, 'allowOut' | 'denyOut'>): object {
  return { allowOut: addresses(allowOut), denyOut: addresses(denyOut) };
}

function addresses(selector: NetworkSelector | undefined): readonly string[] | undefined {
  return typeof selector === 'function' ? selector({ allTraffic: ALL_TRAFFIC }) : selector;
}
