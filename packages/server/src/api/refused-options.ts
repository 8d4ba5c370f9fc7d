// Options of the e2b clients that this server does not have. Left aside in silence they would seem to be in force.
import { SandportError } from '@sandport/protocol/errors';

const OF_CREATION = ['iam', 'volumeMounts'];
const OF_NETWORK = ['httpsPorts'];
/** Of `iam`, whose empty form is `{ tokens: {} }`. */
const EMPTY_LEVELS = 2;

/** Throws `not_supported` for the first that asks for something; null and empty ones ask for nothing. */
export function refuseOptions(body: object): void {
  refuse('body', body, OF_CREATION);
  if ('network' in body && typeof body.network === 'object' && body.network !== null) {
    refuse('body/network', body.network, OF_NETWORK);
  }
}

function refuse(path: string, options: object, names: readonly string[]): void {
  const given = new Map<string, unknown>(Object.entries(options));
  const odd = names.find((name) => !isEmpty(given.get(name), EMPTY_LEVELS));
  if (odd !== undefined) {
    throw new SandportError('not_supported', `${path}/${odd} is not supported by this server: leave it out`);
  }
}

function isEmpty(value: unknown, levels: number): boolean {
  if (value === undefined || value === null) return true;
  return typeof value === 'object' && levels > 0 && Object.values(value).every((inner) => isEmpty(inner, levels - 1));
}
