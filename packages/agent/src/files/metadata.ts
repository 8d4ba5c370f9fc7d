// What a client says about a file it writes: headers X-Metadata-KEY, kept as extended attributes user.e2b.KEY.
import type { IncomingHttpHeaders } from 'node:http';
import { libc } from '../native/system.ts';
import { FileError } from './file-error.ts';

export type Metadata = Readonly<Record<string, string>>;

const HEADER = 'x-metadata-';
const ATTRIBUTE = 'user.e2b.';
/** XATTR_NAME_MAX is 255, less the prefix. */
const MAX_KEY = 246;
const MAX_TOTAL = 4096;

/** @throws FileError 400 on metadata that could not be kept as they are */
export function readMetadata(headers: IncomingHttpHeaders): Metadata {
  const metadata: Record<string, string> = Object.create(null);
  let total = 0;
  for (const [name, value] of Object.entries(headers)) {
    if (!name.startsWith(HEADER)) continue;
    const key = name.slice(HEADER.length);
    const text = String(value);
    total += key.length + text.length;
    if (key === '' || key.length > MAX_KEY)
      throw new FileError(400, `the metadata key '${key}' is not 1 to ${MAX_KEY} long`);
    if (!/^[\x20-\x7e]*$/.test(text)) throw new FileError(400, `the metadata value of '${key}' is not printable ASCII`);
    metadata[key] = text;
  }
  if (total > MAX_TOTAL) throw new FileError(400, `the metadata are longer than ${MAX_TOTAL} bytes`);
  return metadata;
}

/** Replaces the whole set. @throws FileError when the file system keeps no attributes and there are some to keep */
export function writeMetadata(path: string, metadata: Metadata): void {
  const calls = libc();
  const keys = new Set(Object.keys(metadata).map((key) => ATTRIBUTE + key));
  for (const name of calls?.listAttributes(path) ?? []) {
    if (name.startsWith(ATTRIBUTE) && !keys.has(name)) calls?.removeAttribute(path, name);
  }
  for (const [key, value] of Object.entries(metadata)) {
    if (calls?.setAttribute(path, ATTRIBUTE + key, value)) continue;
    throw new FileError(500, `the file system under '${path}' keeps no metadata`);
  }
}

/** Undefined when there are none. */
export function metadataOf(path: string): Metadata | undefined {
  const calls = libc();
  const metadata: Record<string, string> = Object.create(null);
  for (const name of calls?.listAttributes(path) ?? []) {
    const value = name.startsWith(ATTRIBUTE) ? calls?.getAttribute(path, name) : undefined;
    if (value !== undefined) metadata[name.slice(ATTRIBUTE.length)] = value;
  }
  return Object.keys(metadata).length === 0 ? undefined : metadata;
}
