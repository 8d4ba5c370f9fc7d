// URLs of files, for whoever has no access token: the signature in one stands for it.
import { toBase64 } from '../base64.ts';
import { InvalidArgumentError } from '../errors.ts';

export interface FileUrlOptions {
  /** Seconds for which the URL works. Default: as long as the sandbox lives. Needs a sandbox with `secure`. */
  readonly useSignatureExpiration?: number | undefined;
  /** From whose home a relative path starts, and who owns what is uploaded. Default: the template's user. */
  readonly user?: string | undefined;
}

/** Path and query of `/files`. */
export function fileRoute(path: string | undefined, user: string | undefined): string {
  return `/files?${query(path, user)}`;
}

/**
 * As `fileRoute`, signed.
 *
 * @param token the sandbox's access token; undefined when it asks for none
 * @throws InvalidArgumentError on an expiration that is none, or one without a token
 */
export async function signedFileRoute(
  operation: 'read' | 'write',
  path: string | undefined,
  { user, useSignatureExpiration: seconds }: FileUrlOptions,
  token: string | undefined,
): Promise<string> {
  if (seconds !== undefined && !(Number.isFinite(seconds) && seconds > 0)) {
    throw new InvalidArgumentError(`useSignatureExpiration is ${seconds}; expected seconds, more than 0`);
  }
  if (token === undefined) {
    if (seconds === undefined) return fileRoute(path, user);
    throw new InvalidArgumentError('a URL can only expire on a sandbox that was created with secure: true');
  }
  const parameters = query(path, user);
  const expiration = seconds === undefined ? undefined : String(Math.floor(Date.now() / 1000 + seconds));
  const signed = [path ?? '', operation, user ?? '', token];
  if (expiration !== undefined) {
    signed.push(expiration);
    parameters.set('signature_expiration', expiration);
  }
  const digest = await crypto.subtle.digest('SHA-256', new TextEncoder().encode(signed.join(':')));
  parameters.set('signature', `v1_${toBase64(new Uint8Array(digest)).replace(/=+$/, '')}`);
  return `/files?${parameters}`;
}

function query(path: string | undefined, user: string | undefined): URLSearchParams {
  const parameters = new URLSearchParams();
  if (path !== undefined) parameters.set('path', path);
  if (user !== undefined) parameters.set('username', user);
  return parameters;
}
