// POST /files: writes what the body carries, as one file (application/octet-stream) or several (multipart/form-data).
import type { IncomingMessage, ServerResponse } from 'node:http';
import { basename } from 'node:path';
import { answerJson } from '../http/json-answer.ts';
import { FileError } from './file-error.ts';
import type { FileRequest } from './file-request.ts';
import { type Metadata, readMetadata, writeMetadata } from './metadata.ts';
import { boundaryOf, readParts } from './multipart.ts';
import { writeContent } from './write-file.ts';

/** Files of one request. */
const MAX_FILES = 10_000;
/** Longest pause between two pieces of a body. */
const IDLE_MS = 5 * 60_000;

interface WrittenFile {
  readonly name: string;
  readonly path: string;
  readonly type: 'file';
  readonly metadata?: Metadata;
}

/** What is known of every file of a request before it comes. */
interface Nature {
  readonly metadata: Metadata;
  readonly atMost: number | undefined;
}

/** @throws FileError; files written before stay written */
export async function upload(file: FileRequest, request: IncomingMessage, response: ServerResponse): Promise<void> {
  // A client that has gone silent leaves its file unfinished; it does not hold it open for ever.
  request.setTimeout(IDLE_MS, () => request.destroy());
  const metadata = readMetadata(request.headers);
  const body = await decode(request);
  const contentType = request.headers['content-type'] ?? '';
  // Of a compressed body nobody knows how long it is.
  const atMost = request.headers['content-encoding'] === undefined ? contentLength(request) : undefined;
  const isMultipart = /^multipart\/form-data\b/i.test(contentType);
  const written = isMultipart
    ? await writeParts(file, body, boundaryOf(contentType), { metadata, atMost })
    : await writeBody(file, body, contentType, { metadata, atMost });
  answerJson(response, 200, written);
}

async function writeBody(
  file: FileRequest,
  body: AsyncIterable<Buffer>,
  contentType: string,
  nature: Nature,
): Promise<WrittenFile[]> {
  if (!/^application\/octet-stream\b/i.test(contentType)) {
    throw new FileError(
      400,
      `content type '${contentType}' is neither multipart/form-data nor application/octet-stream`,
    );
  }
  if (file.path === '') throw new FileError(400, 'the query parameter path is missing');
  return [await writeOne(file, file.path, body, nature)];
}

async function writeParts(
  file: FileRequest,
  body: AsyncIterable<Buffer>,
  boundary: string,
  nature: Nature,
): Promise<WrittenFile[]> {
  const written = new Map<string, WrittenFile>();
  for await (const part of readParts(body, boundary)) {
    if (part.name !== 'file') continue;
    const target = file.path || part.filename;
    if (!target) throw new FileError(400, 'a file has neither the query parameter path nor a filename');
    if (written.has(file.resolve(target))) {
      throw new FileError(400, `you cannot upload multiple files to the same path '${file.resolve(target)}'`);
    }
    if (written.size === MAX_FILES) throw new FileError(400, `more than ${MAX_FILES} files in one request`);
    const entry = await writeOne(file, target, part.content, nature);
    written.set(entry.path, entry);
  }
  return [...written.values()];
}

async function writeOne(
  file: FileRequest,
  target: string,
  content: AsyncIterable<Buffer>,
  { metadata, atMost }: Nature,
): Promise<WrittenFile> {
  const path = file.resolve(target);
  await writeContent(path, content, file.user, { atMost });
  writeMetadata(path, metadata);
  return { name: basename(path), path, type: 'file', ...(Object.keys(metadata).length > 0 && { metadata }) };
}

function contentLength(request: IncomingMessage): number | undefined {
  const length = request.headers['content-length'];
  return length === undefined ? undefined : Number(length);
}

async function decode(request: IncomingMessage): Promise<AsyncIterable<Buffer>> {
  const encoding = request.headers['content-encoding'] ?? 'identity';
  // A request that is destroyed because its file cannot be written could not be read to its end any more.
  if (encoding === 'identity' || encoding === '') return request.iterator({ destroyOnReturn: false });
  if (encoding !== 'gzip') throw new FileError(400, `content encoding '${encoding}' is not supported; send gzip`);
  const { createGunzip } = await import('node:zlib');
  const gunzip = createGunzip();
  // It may fail before somebody reads it; the reader then meets the error.
  gunzip.on('error', () => {});
  // `pipe` passes no errors on.
  request.once('error', (error) => gunzip.destroy(error));
  request.once('aborted', () => gunzip.destroy(new FileError(400, 'the request broke off')));
  return request.pipe(gunzip);
}
