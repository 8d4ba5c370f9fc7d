// Counts packets where they arrive, and tells when the last of them did: by the kernel's clock, however late it is read.
import { execFileSync } from 'node:child_process';

const HOUR_MS = 3_600_000;

export class PacketWatch {
  readonly #namespace: string;
  readonly #table: string;

  /**
   * @param namespace network namespace that the packets arrive in
   * @param table an nft table of that name is made there, and ends with the namespace
   * @param packets as an nft rule matches them
   */
  constructor(namespace: string, table: string, packets: string) {
    this.#namespace = namespace;
    this.#table = table;
    this.#nft(
      ['-f', '-'],
      `table inet ${table} {
        set last {
          type mark
          size 1
          flags dynamic, timeout
          timeout 1h
        }
        chain seen {
          type filter hook prerouting priority -450
          ${packets} counter update @last { meta mark timeout 1h }
        }
      }`,
    );
  }

  /** How many have arrived so far. */
  count(): number {
    return Number(/counter packets (\d+)/.exec(this.#list())![1]);
  }

  /** When the last has arrived, by `performance.now()`; later than it was by no more than reading takes. -Infinity: none has. */
  lastAt(): number {
    const list = this.#list();
    if (!list.includes('elements = ')) return Number.NEGATIVE_INFINITY;
    const [, left] = /expires ((?:\d+(?:ms|h|m|s))+)/.exec(list)!;
    return performance.now() - (HOUR_MS - milliseconds(left!));
  }

  #list(): string {
    return this.#nft(['list', 'table', 'inet', this.#table]);
  }

  #nft(args: string[], input = ''): string {
    return execFileSync('ip', ['netns', 'exec', this.#namespace, 'nft', ...args], { encoding: 'utf8', input });
  }
}

/** Of a time as nft writes it: `59m58s868ms`, or `1h` where a packet has just arrived. */
function milliseconds(time: string): number {
  const of = { h: HOUR_MS, m: 60_000, s: 1000, ms: 1 };
  return [...time.matchAll(/(\d+)(ms|h|m|s)/g)].reduce(
    (sum, [, digits, unit]) => sum + Number(digits) * of[unit as keyof typeof of],
    0,
  );
}
