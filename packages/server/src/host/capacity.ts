// What the machine has left for one more sandbox, and what was promised of it already.
import { statfsSync } from 'node:fs';
import { SandportError } from '@sandport/protocol/errors';

const MIB = 1024 * 1024;
/** What always has to be left: for what runs already. */
const LEAST_MEMORY = 128 * MIB;
/** For records, logs and what sandboxes that run write meanwhile. */
const LEAST_DISK = 256 * MIB;
/** What a start takes until it settles; one in which nothing runs then takes less than half. */
const START_MEMORY = 64 * MIB;
/** What is made ahead of time leaves room for so many that are asked for. */
const ROOM_AHEAD = 4 * START_MEMORY;

export interface CapacityOptions {
  /** On the disk in question. */
  readonly directory: string;
  /** Bytes of memory that are left on the machine. */
  readonly availableMemory?: () => number;
}

export class Capacity {
  readonly #directory: string;
  readonly #availableMemory: () => number;
  /** Promised to starts that go on, which have not taken it yet, or not all. */
  #reserved = 0;

  constructor({ directory, availableMemory = () => process.availableMemory() }: CapacityOptions) {
    this.#directory = directory;
    this.#availableMemory = availableMemory;
  }

  /**
   * Has memory kept for a start until it has ended; those that go on at the same time do not count on the same. Throws
   * `capacity_exhausted` with the reason.
   *
   * @param bytes that come back into memory, of one that starts from a snapshot
   */
  reserve(bytes = 0): Disposable {
    const taken = START_MEMORY + bytes;
    this.assertMemory(bytes);
    this.#reserved += taken;
    return {
      [Symbol.dispose]: () => {
        this.#reserved -= taken;
      },
    };
  }

  /** The same for what nobody has asked for yet: it leaves room for those who do. */
  reserveAhead(): Disposable {
    this.assertMemory(ROOM_AHEAD);
    return this.reserve();
  }

  /** Throws `capacity_exhausted` with the reason where a start with so much in memory has no room. */
  assertMemory(bytes = 0): void {
    const left = Math.max(0, this.#availableMemory() - this.#reserved);
    const needed = LEAST_MEMORY + bytes;
    if (left < needed) throw full(`its memory has ${mebibytes(left)} left, ${mebibytes(needed)} are needed`);
  }

  /**
   * Throws `capacity_exhausted` with the reason.
   *
   * @param bytes that are about to be written
   */
  assertDisk(bytes = 0): void {
    const { bavail, bsize } = statfsSync(this.#directory);
    const left = bavail * bsize;
    const needed = LEAST_DISK + bytes;
    if (left < needed) throw full(`its disk has ${mebibytes(left)} left, ${mebibytes(needed)} are needed`);
  }
}

function full(reason: string): SandportError {
  return new SandportError('capacity_exhausted', `the machine is full: ${reason}`);
}

function mebibytes(bytes: number): string {
  return `${Math.floor(bytes / MIB)} MiB`;
}
