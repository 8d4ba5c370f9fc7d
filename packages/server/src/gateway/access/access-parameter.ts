// The query parameter by which a URL brings its own access.

import { ACCESS_PARAMETER } from '@sandport/protocol/access-pass';

const PREFIX = `${ACCESS_PARAMETER}=`;

/** The first value of the parameter in a request target. */
export function readAccessParameter(target: string): string | undefined {
  const query = target.indexOf('?');
  if (query === -1 || !target.includes(PREFIX, query)) return undefined;
  const pair = target
    .slice(query + 1)
    .split('&')
    .find((one) => one.startsWith(PREFIX));
  return pair?.slice(PREFIX.length);
}

/** The target without the parameter, and otherwise byte for byte the same. */
export function withoutAccessParameter(target: string): string {
  if (readAccessParameter(target) === undefined) return target;
  const query = target.indexOf('?');
  const kept = target
    .slice(query + 1)
    .split('&')
    .filter((pair) => !pair.startsWith(PREFIX))
    .join('&');
  return target.slice(0, query) + (kept === '' ? '' : `?${kept}`);
}

/** A target as a Location on the same host: with two slashes at its start it would name another one. */
export function asLocation(target: string): string {
  return /^\/[/\\]/.test(target) ? `/.${target}` : target;
}
