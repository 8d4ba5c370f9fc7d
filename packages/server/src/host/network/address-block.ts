// Which addresses this instance of Sandport gives to its slots. Several instances on one machine (tests among them)
// take different blocks; a directory under /run records who has which, and a reboot empties it.
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/** 198.18.0.0/15 is reserved for benchmarking (RFC 2544) and therefore in no one's network. */
const RANGE_START = (198 << 24) | (18 << 16);
const BLOCK_BITS = 11;
const BLOCK_COUNT = 1 << (17 - BLOCK_BITS);

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
  await mkdir(registry, { recursive: true, mode: 0o755 });
  const first = createHash('sha256').update(owner).digest().readUInt16BE(0) % BLOCK_COUNT;
  const candidates = Array.from({ length: BLOCK_COUNT }, (_, step) => (first + step) % BLOCK_COUNT);
  for (const number of candidates) {
    if ((await ownerOf(registry, number)) === owner) return block(registry, number);
  }
  for (const number of candidates) {
    if (await claim(registry, number, owner)) return block(registry, number);
  }
  throw new Error(`all ${BLOCK_COUNT} address blocks are taken; ${registry} lists by whom`);
}

async function claim(registry: string, number: number, owner: string): Promise<boolean> {
  const directory = join(registry, String(number));
  try {
    await mkdir(directory);
  } catch {
    const other = await ownerOf(registry, number);
    // The owner's data directory is gone, and with it everything that used the block.
    if (other === undefined || existsSync(other)) return false;
    await rm(directory, { recursive: true, force: true });
    return claim(registry, number, owner);
  }
  await writeFile(join(directory, 'owner'), owner);
  return true;
}

async function ownerOf(registry: string, number: number): Promise<string | undefined> {
  return readFile(join(registry, String(number), 'owner'), 'utf8').catch(() => undefined);
}

function block(registry: string, number: number): AddressBlock {
  const start = RANGE_START + (number << BLOCK_BITS);
  return {
    cidr: `${dotted(start)}/${32 - BLOCK_BITS}`,
    addressOf(index) {
      if (!Number.isInteger(index) || index < 0 || index >= SLOTS_PER_BLOCK) throw new RangeError(`no slot ${index}`);
      return dotted(start + 1 + index);
    },
    release: () => rm(join(registry, String(number)), { recursive: true, force: true }),
  };
}

function dotted(address: number): string {
  return [24, 16, 8, 0].map((shift) => (address >>> shift) & 255).join('.');
}
