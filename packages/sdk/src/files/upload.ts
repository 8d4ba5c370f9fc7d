// Writes a file of a sandbox over HTTP.
import type { AgentClient } from '../agent-client.ts';
import type { ConnectionConfig } from '../connection-config.ts';
import { InvalidArgumentError, SandboxError } from '../errors.ts';
import { parseJson } from '../request.ts';
import type { WriteInfo } from './entry-info.ts';
import { aboutFiles } from './file-failure.ts';
import type { FileToWrite, FileWriteOptions } from './file-options.ts';
import { fileRoute } from './file-url.ts';
import { UploadBody } from './upload-body.ts';

export async function upload(
  agent: AgentClient,
  config: ConnectionConfig,
  { path, data }: FileToWrite,
  options: FileWriteOptions,
): Promise<WriteInfo> {
  const headers = {
    ...metadataHeaders(options.metadata ?? {}),
    'Content-Type': 'application/octet-stream',
    ...(options.gzip && { 'Content-Encoding': 'gzip' }),
  };
  const body = new UploadBody(data, options.gzip === true);
  const signal = config.requestSignal(options.requestTimeoutMs, options.signal);
  const sending = body
    .init()
    .then((init) =>
      agent.plain(fileRoute(path, options.user), { method: 'POST', headers, ...init, ...(signal && { signal }) }),
    );
  const response = await aboutFiles(sending).catch((error: unknown) => {
    // What the caller's own stream failed of is no failure of the connection.
    throw body.failure ?? error;
  });
  const written = parseJson<WriteInfo[]>(await agent.uncut(response.text(), signal), response.status)[0];
  if (written === undefined) throw new SandboxError('the agent did not say what it has written');
  return written;
}

/** Throws an InvalidArgumentError on what an HTTP header cannot carry as it is. */
export function metadataHeaders(metadata: Readonly<Record<string, string>>): Record<string, string> {
  const headers: Record<string, string> = {};
  for (const [key, value] of Object.entries(metadata)) {
    // A token of RFC 9110, 5.6.2.
    if (!/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(key)) {
      throw new InvalidArgumentError(`the metadata key "${key}" has characters other than letters, digits and -_.`);
    }
    if (!/^[\x20-\x7e]*$/.test(value) || value !== value.trim()) {
      throw new InvalidArgumentError(
        `the metadata value of "${key}" is not printable ASCII without spaces at its ends: "${value}"`,
      );
    }
    headers[`X-Metadata-${key}`] = value;
  }
  return headers;
}
