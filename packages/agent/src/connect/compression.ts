// Which compression the two ends of an RPC use (connectrpc.com/docs/protocol: Content-Encoding of unary calls,
// Connect-Content-Encoding of streams, and what each end accepts).
import type { ServerResponse } from 'node:http';
import { ConnectError } from './connect-error.ts';

export interface Compression {
  readonly name: string;
  compress(bytes: Buffer): Buffer;
  /** @throws ConnectError on bytes that are not compressed so, or become too many */
  decompress(bytes: Uint8Array): Buffer;
}

/** What is shorter gains nothing. */
export const MIN_COMPRESSED_BYTES = 1024;

/** How the client says that it compresses; undefined when it does not. @throws ConnectError `unimplemented` */
export async function requestCompression(
  encoding: string | string[] | undefined,
  response: ServerResponse,
  acceptHeader: string,
): Promise<Compression | undefined> {
  if (encoding === undefined || encoding === 'identity' || encoding === '') return undefined;
  if (encoding === 'gzip') return loadGzip();
  response.setHeader(acceptHeader, 'gzip');
  throw new ConnectError('unimplemented', `compression '${encoding}' is not supported; send gzip or identity`);
}

/** What the client would like the answer in; undefined for as it is. */
export async function answerCompression(accepted: string | string[] | undefined): Promise<Compression | undefined> {
  return acceptsGzip(String(accepted ?? '')) ? loadGzip() : undefined;
}

/** A weight of zero is a refusal (RFC 9110, section 12.4.2). */
function acceptsGzip(header: string): boolean {
  return header.split(',').some((item) => {
    const [name, weight] = item.split(';');
    return name?.trim().toLowerCase() === 'gzip' && !/^\s*q\s*=\s*0(\.0*)?\s*$/i.test(weight ?? '');
  });
}

async function loadGzip(): Promise<Compression> {
  return (await import('./gzip.ts')).gzip;
}
