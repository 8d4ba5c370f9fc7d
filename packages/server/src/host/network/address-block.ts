// Which addresses this instance of Sandport gives to its slots. Several instances on one machine (tests among them)
// take different blocks; a directory under /run records who has which, and a reboot empties it.
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';

/** 198.18.0.0/15 is reserved for benchmarking (RFC 2544) and therefore in no one's network. */
const RANGE_START = (198 << 24) | (18 << 16);
const BLOCK_BITS = 11;
const BLOCK_COUNT = 1 << (17 - BLOCK_BITS);
/** How long another instance may be at it; it takes a few milliseconds. */
const LOCK_MS = 10_000;

/** Slots in one block. */
export const SLOTS_PER_BLOCK = (1 << BLOCK_BITS) - 2;

export interface AddressBlock {
  /** In CIDR form, such as `198.18.8.0/21`. */
  readonly cidr: string;
  /** Address of slot `index`, from 0 on. */
  addressOf(index: number): string;
  /** Gives the block back. */
  release(): Promise<void>;
}

/** Takes a block for `owner`, a data directory: the one it had before, else a free one. */
export async function takeAddressBlock(registry: string, owner: string): Promise<AddressBlock> {
  mkdirSync(registry, { recursive: true, mode: 0o755 });
  const first = createHash('sha256').update(owner).digest().readUInt16BE(0) % BLOCK_COUNT;
  const candidates = Array.from({ length: BLOCK_COUNT }, (_, step) => (first + step) % BLOCK_COUNT);
  using _lock = lock(registry);
  const number =
    candidates.find((candidate) => ownerOf(registry, candidate) === owner) ??
    candidates.find((candidate) => isFree(registry, candidate));
  if (number === undefined) {
    throw new Error(`all ${BLOCK_COUNT} address blocks are taken; ${registry} lists by whom`);
  }
  mkdirSync(join(registry, String(number)), { recursive: true });
  writeFileSync(join(registry, String(number), 'owner'), owner);
  return block(registry, number);
}

/**
 * Between the look at a block and its taking nobody else may do either. SQLite has a lock that the operating system
 * ends with its process; what is done under it is synchronous, as it would not hold off another call of this process.
 */
function lock(registry: string): Disposable {
  const database = new DatabaseSync(join(registry, 'lock'), { timeout: LOCK_MS });
  try {
    database.exec('BEGIN EXCLUSIVE');
  } catch (error) {
    database.close();
    throw error;
  }
  return { [Symbol.dispose]: () => database.close() };
}

/** No one's, or of an owner whose data directory is gone, and with it everything that used the block. */
function isFree(registry: string, number: number): boolean {
  const owner = ownerOf(registry, number);
  return owner === undefined || !existsSync(owner);
}

function ownerOf(registry: string, number: number): string | undefined {
  try {
    return readFileSync(join(registry, String(number), 'owner'), 'utf8');
  } catch {
    return undefined;
  }
}

function block(registry: string, number: number): AddressBlock {
  const start = RANGE_START + (number << BLOCK_BITS);
  return {
    cidr: `${dotted(start)}/${32 - BLOCK_BITS}`,
    addressOf(index) {
      if (!Number.isInteger(index) || index < 0 || index >= SLOTS_PER_BLOCK) throw new RangeError(`no slot ${index}`);
      return dotted(start + 1 + index);
    },
    async release() {
      using _lock = lock(registry);
      rmSync(join(registry, String(number)), { recursive: true, force: true });
    },
  };
}

function dotted(address: number): string {
  return [24, 16, 8, 0].map((shift) => (address >>> shift) & 255).join('.');
}
