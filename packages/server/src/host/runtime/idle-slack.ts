// gVisor's kernel wakes up more than a thousand times a second, also when nothing runs in it (systrap's latency
// bookkeeping, every 400 microseconds), which costs 3 to 4 per cent of a processor for every idle sandbox. Linux lets a
// thread's timers be late by its timer slack, so that wake-ups fall together: an idle sandbox gets a generous one, and
// loses it within a second of having work. What does not wait for a timer, such as a packet, is never late by it.

import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import type { ProcessIdentity } from '../../process-identity.ts';

interface Step {
  /** How long a sandbox has been idle, milliseconds. */
  readonly afterMs: number;
  readonly slackNs: number;
  /** Clock ticks (10 ms) of processor time within one look from which on it counts as busy at this slack. */
  readonly busyTicks: number;
}

/** Linux's default slack first. A sleep of 10 ms inside takes 2 ms longer at the second, up to 10 ms at the third. */
const STEPS: readonly Step[] = [
  { afterMs: 0, slackNs: 50_000, busyTicks: 7 },
  { afterMs: 5000, slackNs: 5_000_000, busyTicks: 4 },
  { afterMs: 60_000, slackNs: 20_000_000, busyTicks: 2 },
];

interface Observed {
  readonly startTime: string;
  ticks: number;
  idleSince: number;
  step: number;
}

export class IdleSlack {
  readonly #observed = new Map<number, Observed>();
  readonly #now: () => number;

  /** @param now milliseconds of a clock that never goes back */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  /** Looks at the kernels that run, about once a second; those not named any more are forgotten. */
  observe(kernels: Iterable<ProcessIdentity>): void {
    const named = new Set<number>();
    for (const { pid, startTime } of kernels) {
      named.add(pid);
      const ticks = processorTicks(pid);
      if (ticks === undefined) continue;
      const known = this.#observed.get(pid);
      if (known?.startTime === startTime) this.#compare(pid, known, ticks);
      else this.#observed.set(pid, { startTime, ticks, idleSince: this.#now(), step: 0 });
    }
    for (const pid of this.#observed.keys()) if (!named.has(pid)) this.#observed.delete(pid);
  }

  #compare(pid: number, known: Observed, ticks: number): void {
    const now = this.#now();
    if (ticks - known.ticks >= STEPS[known.step]!.busyTicks) known.idleSince = now;
    known.ticks = ticks;
    const step = STEPS.findLastIndex(({ afterMs }) => now - known.idleSince >= afterMs);
    if (step === known.step) return;
    known.step = step;
    setSlack(pid, STEPS[step]!.slackNs);
  }
}

/** User and system time of all threads. */
function processorTicks(pid: number): number | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return Number(fields[11]) + Number(fields[12]);
  } catch {
    return undefined;
  }
}

/** Of every thread; threads made later take it over from the one that makes them. */
function setSlack(pid: number, ns: number): void {
  try {
    for (const thread of readdirSync(`/proc/${pid}/task`)) writeFileSync(`/proc/${thread}/timerslack_ns`, String(ns));
  } catch {
    // It has ended, or a thread of it has; or the kernel does not allow it, which costs processor time and nothing else.
  }
}
