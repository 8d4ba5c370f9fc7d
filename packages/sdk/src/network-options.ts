// What a sandbox may reach, and who may reach it.

/** Every address, for `denyOut`. */
export const ALL_TRAFFIC = '0.0.0.0/0';

type Selector = readonly string[] | ((context: { readonly allTraffic: string }) => readonly string[]);

export interface NetworkUpdate {
  /** Addresses and CIDR ranges that may be reached although `denyOut` has them. */
  readonly allowOut?: Selector;
  /** Addresses and CIDR ranges that may not be reached. */
  readonly denyOut?: Selector;
  /** False: nothing outside may be reached. */
  readonly allowInternetAccess?: boolean;
}

export interface NetworkOptions extends Omit<NetworkUpdate, 'allowInternetAccess'> {
  /** False: public URLs answer only with `trafficAccessToken` in the header `e2b-traffic-access-token`. Default true. */
  readonly allowPublicTraffic?: boolean;
  /** The Host header that servers inside see; `${PORT}` stands for the requested port. */
  readonly maskRequestHost?: string;
}

/** The form on the wire. */
export function networkBody(options: NetworkOptions | undefined): object | undefined {
  if (options === undefined) return undefined;
  const { allowOut, denyOut, ...rest } = options;
  return { ...rest, ...selectors({ allowOut, denyOut }) };
}

export function networkUpdateBody({ allowOut, denyOut, allowInternetAccess }: NetworkUpdate): object {
  return {
    ...selectors({ allowOut, denyOut }),
    ...(allowInternetAccess !== undefined && { allow_internet_access: allowInternetAccess }),
  };
}

function selectors({ allowOut, denyOut }: { allowOut: Selector | undefined; denyOut: Selector | undefined }): object {
  return {
    ...(allowOut !== undefined && { allowOut: resolve(allowOut) }),
    ...(denyOut !== undefined && { denyOut: resolve(denyOut) }),
  };
}

function resolve(selector: Selector): readonly string[] {
  return typeof selector === 'function' ? selector({ allTraffic: ALL_TRAFFIC }) : selector;
}
