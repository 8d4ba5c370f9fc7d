// What the machine has to have left for one more sandbox.
import { statfsSync } from 'node:fs';
import { SandportError } from '@sandport/protocol/errors';

const MIB = 1024 * 1024;
/** A sandbox in which nothing runs takes a fifth of it; the rest is for what runs already. */
const LEAST_MEMORY = 128 * MIB;
/** For records, logs and what sandboxes that run write meanwhile. */
const LEAST_DISK = 256 * MIB;

/** Throws `capacity_exhausted` with the reason. */
export function assertMemory(): void {
  const left = process.availableMemory();
  if (left >= LEAST_MEMORY) return;
  throw full(`its memory has ${mebibytes(left)} left, ${mebibytes(LEAST_MEMORY)} are needed`);
}

/**
 * Throws `capacity_exhausted` with the reason.
 *
 * @param directory on the disk in question
 * @param bytes that are about to be written
 */
export function assertDisk(directory: string, bytes = 0): void {
  const { bavail, bsize } = statfsSync(directory);
  const left = bavail * bsize;
  const needed = LEAST_DISK + bytes;
  if (left < needed) throw full(`its disk has ${mebibytes(left)} left, ${mebibytes(needed)} are needed`);
}

function full(reason: string): SandportError {
  return new SandportError('capacity_exhausted', `the machine is full: ${reason}`);
}

function mebibytes(bytes: number): string {
  return `${Math.floor(bytes / MIB)} MiB`;
}
