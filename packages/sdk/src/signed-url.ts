// URLs that open a private port for a time, signed by the server.
import type { SignedUrl } from '@sandport/protocol/api';
import { callApi } from './api-client.ts';
import type { ConnectionOptions } from './connection-config.ts';
import { parseDuration } from './duration.ts';
import { InvalidArgumentError } from './errors.ts';

export interface SignedUrlOptions extends ConnectionOptions {
  /** How long it opens the port: a whole number of seconds, or such as `30s`, `15m`, `1h`, `7d`. Default `1h`, at most `30d`. */
  readonly expiresIn?: number | string | undefined;
  /** Where in the app it leads: a path with or without a query. Default `/`. */
  readonly path?: string | undefined;
}

/** Throws an InvalidArgumentError on a duration or path that is none, and for a port that is public. */
export async function signedUrl(sandboxId: string, port: number, options: SignedUrlOptions): Promise<string> {
  const { expiresIn, path = '/' } = options;
  if (!path.startsWith('/')) throw new InvalidArgumentError(`path is "${path}"; expected one that starts with a slash`);
  const body = { port, expiresIn: parseDuration('expiresIn', expiresIn ?? '1h') };
  const { data } = await callApi<SignedUrl>(
    options,
    'POST',
    `/sandboxes/${encodeURIComponent(sandboxId)}/signed-urls`,
    body,
  );
  const { origin, search } = new URL(data.url);
  const [target, fragment] = split(path, '#');
  const [route, query] = split(target, '?');
  return `${origin}${route}${search}${query.replace('?', '&')}${fragment}`;
}

/** What stands before `mark`, and the rest with it. */
function split(text: string, mark: string): [string, string] {
  const at = text.indexOf(mark);
  return at === -1 ? [text, ''] : [text.slice(0, at), text.slice(at)];
}
