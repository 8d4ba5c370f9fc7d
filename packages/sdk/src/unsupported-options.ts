// Options of the `e2b` client that this one does not have. Dropping one in silence could open what it was to close.
import { InvalidArgumentError } from './errors.ts';

/** Throws an InvalidArgumentError that names the first of `names` that `options` has. */
export function refuseUnsupported(prefix: string, options: object, names: readonly string[]): void {
  const given = new Map(Object.entries(options));
  const odd = names.find((name) => given.get(name) !== undefined && given.get(name) !== null);
  if (odd !== undefined) {
    throw new InvalidArgumentError(`${prefix}${odd} is not supported: leave it out`, { code: 'not_supported' });
  }
}
