// The message descriptors that the installed e2b package carries: what the official client itself goes by.
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { DescFile } from '@bufbuild/protobuf';
import { fileDesc } from '@bufbuild/protobuf/codegenv2';
import { file_google_protobuf_timestamp } from '@bufbuild/protobuf/wkt';

/** One for each of its .proto files, by package name. @throws Error when the package keeps them in another way */
export function e2bDescriptors(): Map<string, DescFile> {
  const source = readFileSync(fileURLToPath(import.meta.resolve('e2b')), 'utf8');
  const files = new Map<string, DescFile>();
  for (const [, base64] of source.matchAll(/fileDesc\)?\("([A-Za-z0-9+/=]+)"/g)) {
    const file = fileDesc(base64!, [file_google_protobuf_timestamp]);
    files.set(file.proto.package, file);
  }
  if (!files.has('process') || !files.has('filesystem')) throw new Error('no descriptors found in the e2b package');
  return files;
}
