// IPv4 ranges: made disjoint for the packet filter, and searched for one address.

interface Range {
  readonly first: number;
  readonly prefix: number;
}

const DOT = 0x2e;
const ZERO = 0x30;

/** @param address in dotted form; asked several times for each connection */
export function toNumber(address: string): number {
  let sum = 0;
  let part = 0;
  for (let i = 0; i < address.length; i++) {
    const code = address.charCodeAt(i);
    if (code === DOT) {
      sum = sum * 256 + part;
      part = 0;
    } else {
      part = part * 10 + code - ZERO;
    }
  }
  return sum * 256 + part;
}

export function toDotted(address: number): string {
  return [24, 16, 8, 0].map((shift) => Math.floor(address / 2 ** shift) % 256).join('.');
}

/** Leaves out ranges that lie within others; two ranges in CIDR form cannot overlap otherwise. Sorted, canonical. */
export function disjointRanges(cidrs: readonly string[]): string[] {
  return disjoint(cidrs).map(({ first, prefix }) => `${toDotted(first)}/${prefix}`);
}

function disjoint(cidrs: readonly string[]): Range[] {
  const sorted = cidrs.map(read).sort((a, b) => a.first - b.first || a.prefix - b.prefix);
  const kept: Range[] = [];
  let covered = -1;
  for (const range of sorted) {
    if (range.first <= covered) continue;
    kept.push(range);
    covered = range.first + 2 ** (32 - range.prefix) - 1;
  }
  return kept;
}

function read(cidr: string): Range {
  const [address, length] = cidr.split('/');
  const prefix = length === undefined ? 32 : Number(length);
  const size = 2 ** (32 - prefix);
  return { first: Math.floor(toNumber(address!) / size) * size, prefix };
}

/** A set of ranges that answers in logarithmic time. */
export class AddressRanges {
  readonly #first: Uint32Array;
  readonly #last: Uint32Array;

  constructor(cidrs: readonly string[]) {
    const ranges = disjoint(cidrs);
    this.#first = Uint32Array.from(ranges, ({ first }) => first);
    this.#last = Uint32Array.from(ranges, ({ first, prefix }) => first + 2 ** (32 - prefix) - 1);
  }

  get size(): number {
    return this.#first.length;
  }

  /** Whether no address lies outside of them. */
  get hasAll(): boolean {
    let covered = 0;
    for (let index = 0; index < this.size && this.#first[index] === covered; index++) covered = this.#last[index]! + 1;
    return covered === 2 ** 32;
  }

  /** @param address in dotted form */
  has(address: string): boolean {
    const number = toNumber(address);
    let low = 0;
    let high = this.#first.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#first[middle]! <= number) low = middle + 1;
      else high = middle;
    }
    return low > 0 && number <= this.#last[low - 1]!;
  }
}
