// For apps that know themselves under their masked name only: the browser's Origin and Referer are translated to it, and
// where they redirect to is translated back.

export interface MaskedOrigin {
  /** The name that the app knows itself under. */
  readonly host: string;
  /** What stands for it outside. */
  readonly origin: string;
}

/** The origin that the app takes for its own; it speaks HTTP without TLS. */
const schemeAndHost = /^https?:\/\/([^/?#\\]+)/i;

/**
 * An Origin or Referer of the public host, as of the masked one. Others stay.
 *
 * @param publicHost with its port
 */
export function toMasked(value: string, publicHost: string, mask: string): string {
  const match = schemeAndHost.exec(value);
  if (match?.[1]?.toLowerCase() !== publicHost.toLowerCase()) return value;
  return `http://${mask}${value.slice(match![0].length)}`;
}

/** A Location at the masked host, as at the public one. Others stay. */
export function fromMasked(location: string, mask: string, publicOrigin: string): string {
  const match = /^(?:https?:)?\/\/([^/?#\\]+)/i.exec(location);
  if (match?.[1]?.toLowerCase() !== mask.toLowerCase()) return location;
  return publicOrigin + location.slice(match![0].length);
}
