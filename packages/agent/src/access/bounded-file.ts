// Reads small files of the sandbox, which its programs may have replaced by anything.
import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';

/** The first `limit` bytes of a regular file as text; undefined when there is no such file. */
export function readBoundedFile(path: string, limit: number): string | undefined {
  let descriptor: number;
  try {
    // O_NONBLOCK keeps a FIFO put in its place from blocking the agent.
    descriptor = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch {
    return undefined;
  }
  try {
    if (!fstatSync(descriptor).isFile()) return undefined;
    const buffer = Buffer.allocUnsafe(Math.min(limit, Math.max(fstatSync(descriptor).size, 4096)));
    return buffer.toString('utf8', 0, readSync(descriptor, buffer, 0, buffer.length, 0));
  } finally {
    closeSync(descriptor);
  }
}
