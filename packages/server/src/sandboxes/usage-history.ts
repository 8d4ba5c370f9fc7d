// What sandboxes use, over time: a sample every five seconds, kept in memory for half an hour.
import { setTimeout as delay } from 'node:timers/promises';
import type { Usage } from '../host/usage.ts';
import type { RunningSandbox } from './sandbox-record.ts';

export interface UsageSample {
  /** Milliseconds since 1970. */
  readonly at: number;
  /** Of all processors that the sandbox has, 0 to 100, since the sample before. */
  readonly cpuPercent: number;
  readonly memoryBytes: number;
  readonly cacheBytes: number;
  readonly diskBytes: number;
}

export interface UsageHistoryOptions {
  readonly running: () => readonly RunningSandbox[];
  /** Whether a sandbox is still to be asked about, running or paused. */
  readonly isKnown: (id: string) => boolean;
  readonly read: (sandbox: RunningSandbox) => Promise<Usage>;
  /** Called with the number of processes that the kernel has ended for want of memory since the sample before. */
  readonly onOutOfMemory: (id: string, processes: number) => void;
  readonly now?: () => number;
}

const INTERVAL_MS = 5000;
/** So many are asked about without a pause; more are spread over the time, so that they hold nothing up. */
const AT_ONCE = 20;
const SPREAD_MS = 3000;
const KEPT = 360;
/** A sample that is younger stands for now. */
const FRESH_MS = 1000;

interface History {
  samples: UsageSample[];
  container: string;
  cpuNs: number;
  outOfMemory: number;
  /** Of a clock that never jumps. */
  measuredAt: number;
}

export class UsageHistory implements Disposable {
  readonly #options: UsageHistoryOptions;
  readonly #now: () => number;
  readonly #histories = new Map<string, History>();
  readonly #timer: NodeJS.Timeout;
  #sampling = false;

  constructor(options: UsageHistoryOptions) {
    this.#options = options;
    this.#now = options.now ?? Date.now;
    this.#timer = setInterval(() => void this.sampleAll(), INTERVAL_MS).unref();
  }

  /** Samples of all that run; those of sandboxes that are gone are forgotten. */
  async sampleAll(): Promise<void> {
    if (this.#sampling) return;
    this.#sampling = true;
    try {
      for (const id of this.#histories.keys()) if (!this.#options.isKnown(id)) this.#histories.delete(id);
      const running = this.#options.running();
      for (const [index, sandbox] of running.entries()) {
        await this.#sample(sandbox);
        if (index % AT_ONCE === AT_ONCE - 1)
          await delay((SPREAD_MS * AT_ONCE) / running.length, undefined, { ref: false });
      }
    } finally {
      this.#sampling = false;
    }
  }

  /** Oldest first, and up to now when the sandbox runs. */
  async of(id: string): Promise<readonly UsageSample[]> {
    const sandbox = this.#options.running().find((each) => each.id === id);
    const last = this.#histories.get(id)?.samples.at(-1);
    if (sandbox !== undefined && (last === undefined || this.#now() - last.at > FRESH_MS)) await this.#sample(sandbox);
    return this.#histories.get(id)?.samples ?? [];
  }

  async #sample(sandbox: RunningSandbox): Promise<void> {
    const { id, placement, spec } = sandbox;
    let usage: Usage;
    try {
      usage = await this.#options.read(sandbox);
    } catch {
      // It has ended since it was listed.
      return;
    }
    const measuredAt = performance.now();
    const known = this.#histories.get(id);
    // After a pause it runs in another container, whose time begins anew.
    const since = known?.container === placement.container ? known : undefined;
    const elapsedNs = since === undefined ? 0 : (measuredAt - since.measuredAt) * 1e6 * spec.limits.cpuCount;
    const share = since === undefined || elapsedNs <= 0 ? 0 : (usage.cpuNs - since.cpuNs) / elapsedNs;
    const sample: UsageSample = {
      at: this.#now(),
      cpuPercent: Math.round(Math.min(1, Math.max(0, share)) * 10_000) / 100,
      memoryBytes: usage.memoryBytes,
      cacheBytes: usage.cacheBytes,
      diskBytes: usage.diskBytes,
    };
    const ended = usage.outOfMemory - (since?.outOfMemory ?? 0);
    if (ended > 0) this.#options.onOutOfMemory(id, ended);
    this.#histories.set(id, {
      samples: [...(known?.samples ?? []), sample].slice(-KEPT),
      container: placement.container,
      cpuNs: usage.cpuNs,
      outOfMemory: usage.outOfMemory,
      measuredAt,
    });
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
    this.#histories.clear();
  }
}
