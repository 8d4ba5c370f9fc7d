// GET /files: the content of one file, read as root.
import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { basename } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { readRange } from './byte-range.ts';
import { contentDisposition, contentType } from './content-type.ts';
import { FileError } from './file-error.ts';
import type { FileRequest } from './file-request.ts';

/** A file that ends within this many bytes is served with the length it really has. */
const HEAD_BYTES = 64 * 1024;

/** @throws FileError before anything is answered */
export async function download(file: FileRequest, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const path = file.resolve(file.path);
  response.setHeader('vary', 'Accept-Encoding');
  const encoding = chooseEncoding(request);
  await using handle = await openForReading(path);
  const stats = await handle.stat();
  if (stats.isDirectory()) throw new FileError(400, `path '${path}' is a directory`);
  if (!stats.isFile()) throw new FileError(400, `path '${path}' is not a regular file`);
  response.setHeader('content-type', contentType(path));
  response.setHeader('content-disposition', contentDisposition(basename(path)));
  response.setHeader('last-modified', stats.mtime.toUTCString());
  if (isUnchanged(request, stats.mtimeMs)) {
    response.writeHead(304).end();
    return;
  }
  const { head, whole } = await readHead(handle, path);
  // In /proc and /sys the size that stat gives is not that of the content.
  const size = whole ? head.length : stats.size > head.length ? stats.size : undefined;
  if (encoding === 'gzip') {
    await sendCompressed(response, rest(handle, head, whole));
    return;
  }
  if (size === undefined) {
    await pipeline(Readable.from(rest(handle, head, whole)), response);
    return;
  }
  await sendRange(request, response, handle, head, size);
}

/** Opened without waiting, so that a FIFO does not hold a thread until somebody writes to it. */
async function openForReading(path: string): Promise<FileHandle> {
  try {
    return await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (error) {
    throw FileError.from(error, path);
  }
}

/** @throws FileError 406 when the client takes neither the content as it is nor gzip */
function chooseEncoding(request: IncomingMessage): 'identity' | 'gzip' {
  const { headers } = request;
  const refused = new Set<string>();
  const named = new Set<string>();
  for (const item of String(headers['accept-encoding'] ?? '')
    .toLowerCase()
    .split(',')
    .slice(0, 32)) {
    const [name = '', ...parameters] = item.split(';').map((part) => part.trim());
    (parameters.some((parameter) => /^q=0(\.0*)?$/.test(parameter)) ? refused : named).add(name);
  }
  const conditional = Object.keys(headers).some((name) => name === 'range' || name.startsWith('if-'));
  if (!conditional && named.has('gzip')) return 'gzip';
  const identityRefused = refused.has('identity') || (refused.has('*') && !named.has('identity'));
  if (identityRefused) throw new FileError(406, 'no acceptable encoding: this server offers identity and gzip');
  return 'identity';
}

function isUnchanged(request: IncomingMessage, mtimeMs: number): boolean {
  const since = Date.parse(request.headers['if-modified-since'] ?? '');
  return Math.floor(mtimeMs / 1000) * 1000 <= since;
}

async function readHead(handle: FileHandle, path: string): Promise<{ head: Buffer; whole: boolean }> {
  const head = Buffer.allocUnsafe(HEAD_BYTES);
  let length = 0;
  try {
    while (length < HEAD_BYTES) {
      const { bytesRead } = await handle.read(head, length, HEAD_BYTES - length, null);
      if (bytesRead === 0) return { head: head.subarray(0, length), whole: true };
      length += bytesRead;
    }
  } catch (error) {
    throw FileError.from(error, path);
  }
  return { head, whole: false };
}

async function* rest(handle: FileHandle, head: Buffer, whole: boolean): AsyncGenerator<Buffer> {
  yield head;
  if (!whole) yield* handle.createReadStream({ autoClose: false, highWaterMark: 64 * 1024 });
}

async function sendCompressed(response: ServerResponse, content: AsyncIterable<Buffer>): Promise<void> {
  const { createGzip } = await import('node:zlib');
  response.setHeader('content-encoding', 'gzip');
  await pipeline(Readable.from(content), createGzip({ level: 1 }), response);
}

async function sendRange(
  request: IncomingMessage,
  response: ServerResponse,
  handle: FileHandle,
  head: Buffer,
  size: number,
): Promise<void> {
  const range = readRange(request.headers.range, size);
  response.setHeader('accept-ranges', 'bytes');
  if (range === 'unsatisfiable') {
    response.writeHead(416, { 'content-range': `bytes */${size}` }).end();
    return;
  }
  const { first, last } = range ?? { first: 0, last: size - 1 };
  if (range !== undefined) response.setHeader('content-range', `bytes ${first}-${last}/${size}`);
  response.writeHead(range === undefined ? 200 : 206, { 'content-length': last - first + 1 });
  if (request.method === 'HEAD') {
    response.end();
    return;
  }
  const fromHead = head.subarray(first, last + 1);
  if (fromHead.length === last - first + 1) {
    response.end(fromHead);
    return;
  }
  // A file that shrinks meanwhile leaves the answer short: `pipeline` then breaks the connection off.
  await pipeline(
    handle.createReadStream({ autoClose: false, start: first, end: last, highWaterMark: 64 * 1024 }),
    response,
  );
}
