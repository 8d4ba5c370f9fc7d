// Answers of the machine's nameservers, cached; each question is asked once, however many wait for it.
import { Code, Type } from './message.ts';
import { askUpstream, type UpstreamAnswer } from './upstream.ts';

const MAX_CACHED = 10_000;
/** Of all askers. One may have as many as are left for others, so that there is always room for one that has none. */
const MAX_IN_FLIGHT = 2000;
/** Seconds. */
const LONGEST = 300;
const LONGEST_NEGATIVE = 30;
/** Servers give addresses in turn with lifetimes of a few seconds; less than this would ask for every connection. */
const SHORTEST = 2;

/** For so long an answer that is over is better than none (RFC 8767). */
const STALE_MS = 600_000;

interface Cached extends UpstreamAnswer {
  /** Milliseconds of `performance.now()`. */
  readonly since: number;
  readonly until: number;
}

export class NameLookup {
  readonly #nameservers: readonly string[];
  readonly #cache = new Map<string, Cached>();
  readonly #inFlight = new Map<string, Promise<Cached | undefined>>();
  /** Questions in flight, by who asked them first. */
  readonly #askers = new Map<string, number>();
  readonly #closing = new AbortController();

  constructor(nameservers: readonly string[]) {
    this.#nameservers = nameservers;
  }

  /**
   * Undefined when no nameserver answers, or too many questions wait.
   *
   * @param asker on whose account the question is: one that asks much keeps no other from asking
   */
  async ask(name: string, type: number, asker: string): Promise<Cached | undefined> {
    const key = `${type} ${name}`;
    const known = this.#known(key);
    if (known !== undefined) return known;
    const before = this.#inFlight.get(key);
    if (before !== undefined) return before;
    if (this.#closing.signal.aborted) return undefined;
    const own = this.#askers.get(asker) ?? 0;
    if (own >= MAX_IN_FLIGHT - this.#inFlight.size) return this.#stale(key);
    this.#askers.set(asker, own + 1);
    const asking = this.#ask(key, name, type).finally(() => {
      this.#inFlight.delete(key);
      const left = this.#askers.get(asker)! - 1;
      if (left === 0) this.#askers.delete(asker);
      else this.#askers.set(asker, left);
    });
    this.#inFlight.set(key, asking);
    return asking;
  }

  #known(key: string): Cached | undefined {
    const cached = this.#cache.get(key);
    return cached !== undefined && cached.until > performance.now() ? cached : undefined;
  }

  #stale(key: string): Cached | undefined {
    const before = this.#cache.get(key);
    return before !== undefined && before.until + STALE_MS > performance.now() ? before : undefined;
  }

  /** IPv4 addresses of a name; none when it has none or nobody answers. */
  async addresses(name: string, asker: string): Promise<readonly string[]> {
    return (await this.ask(name, Type.a, asker))?.answer.addresses ?? [];
  }

  /** As `addresses`, without a question; undefined when one would have to be asked. */
  knownAddresses(name: string): readonly string[] | undefined {
    return this.#known(`${Type.a} ${name}`)?.answer.addresses;
  }

  close(): void {
    this.#closing.abort();
  }

  async #ask(key: string, name: string, type: number): Promise<Cached | undefined> {
    const found = await askUpstream(this.#nameservers, name, type, this.#closing.signal);
    const now = performance.now();
    if (found === undefined) return this.#stale(key);
    const cached = { ...found, since: now, until: now + 1000 * secondsToKeep(found) };
    this.#cache.delete(key);
    if (cached.until > now) this.#cache.set(key, cached);
    if (this.#cache.size > MAX_CACHED) this.#cache.delete(this.#cache.keys().next().value!);
    return cached;
  }
}

function secondsToKeep({ answer }: UpstreamAnswer): number {
  if (answer.truncated) return 0;
  if (answer.code === Code.nameError || (answer.code === 0 && answer.addresses.length === 0)) {
    return Math.min(answer.ttl, LONGEST_NEGATIVE);
  }
  return answer.code === 0 ? Math.min(LONGEST, Math.max(SHORTEST, answer.ttl)) : 0;
}
