// gVisor's kernel wakes up more than a thousand times a second, also when nothing runs in it (systrap's latency
// bookkeeping, every 400 microseconds), which costs 3 to 4 per cent of a processor for every idle sandbox. Linux lets a
// thread's timers be late by its timer slack, so that wake-ups fall together: an idle sandbox gets a generous one, and
// loses it when it is used, or within a second of having work. What does not wait for a timer, such as a packet, is never
// late by it. Many idle sandboxes get more of it than a few, and sooner, so that what all of them cost together stays small.

import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { isRunning, type ProcessIdentity } from '../../process-identity.ts';

interface Step {
  /** How long a sandbox has been idle, milliseconds. */
  readonly afterMs: number;
  readonly slackMs: number;
  /** Clock ticks (10 ms) of processor time a second from which on it counts as busy at this slack. */
  readonly busyTicks: number;
  /** How many are idle for each processor, if the step is for many only. */
  readonly crowd?: number;
}

/** Linux's default slack first. A sleep of 10 ms inside takes 2 ms longer at the second, up to 10 ms at the third. */
const STEPS: readonly Step[] = [
  { afterMs: 0, slackMs: 0.05, busyTicks: 7 },
  { afterMs: 5000, slackMs: 5, busyTicks: 4 },
  { afterMs: 15_000, slackMs: 20, busyTicks: 2 },
  { afterMs: 30_000, slackMs: 50, busyTicks: 2, crowd: 10 },
  { afterMs: 30_000, slackMs: 100, busyTicks: 2, crowd: 25 },
];
/** Sandboxes for each processor, idle or not, from which on each is taken for idle in a fifth of the time. */
const FULL = 5;
const HASTE = 5;
/** From which on a sandbox counts as idle. */
const IDLE_STEP = 2;

interface Observed {
  readonly startTime: string;
  ticks: number;
  idleSince: number;
  step: number;
}

export interface IdleSlackOptions {
  /** Milliseconds of a clock that never goes back. */
  readonly now: () => number;
  readonly processors: number;
}

export class IdleSlack {
  readonly #observed = new Map<number, Observed>();
  readonly #now: () => number;
  readonly #processors: number;
  /** How many are idle for each processor, as of the last look. */
  #crowd = 0;
  /** By how much sooner each is taken for idle, as of the last look. */
  #haste = 1;
  #lookedAt: number;

  constructor({ now = () => performance.now(), processors = availableParallelism() }: Partial<IdleSlackOptions> = {}) {
    this.#now = now;
    this.#processors = processors;
    this.#lookedAt = now();
  }

  /** Looks at the kernels that run, about once a second; those not named any more are forgotten. */
  observe(kernels: Iterable<ProcessIdentity>): void {
    const now = this.#now();
    // Where many are busy a look may come late, and none may be taken for busy for that: that would make it later still.
    const seconds = Math.max(1, (now - this.#lookedAt) / 1000);
    this.#lookedAt = now;
    const named = new Set<number>();
    for (const { pid, startTime } of kernels) {
      named.add(pid);
      const ticks = processorTicks(pid);
      if (ticks === undefined) continue;
      const known = this.#observed.get(pid);
      if (known?.startTime === startTime) this.#compare(pid, known, { ticks, seconds });
      else this.#observed.set(pid, { startTime, ticks, idleSince: now, step: 0 });
    }
    for (const pid of this.#observed.keys()) if (!named.has(pid)) this.#observed.delete(pid);
    const idle = [...this.#observed.values()].filter(({ step }) => step >= IDLE_STEP);
    this.#crowd = idle.length / this.#processors;
    // Where there are many, five seconds of exact timers after each command are what all processors do.
    this.#haste = this.#observed.size >= FULL * this.#processors ? HASTE : 1;
  }

  /** Gives one its exact timers back at once, for what it is about to be asked. */
  rouse(kernel: ProcessIdentity): void {
    const known = this.#observed.get(kernel.pid);
    if (known?.startTime !== kernel.startTime) return;
    known.idleSince = this.#now();
    if (known.step > 0 && isRunning(kernel)) this.#setStep(kernel.pid, known, 0);
  }

  #compare(pid: number, known: Observed, { ticks, seconds }: { ticks: number; seconds: number }): void {
    const now = this.#lookedAt;
    if (ticks - known.ticks >= STEPS[known.step]!.busyTicks * seconds) known.idleSince = now;
    known.ticks = ticks;
    const idleFor = this.#haste * (now - known.idleSince);
    const step = STEPS.findLastIndex(({ afterMs, crowd = 0 }) => idleFor >= afterMs && this.#crowd >= crowd);
    if (step !== known.step) this.#setStep(pid, known, step);
  }

  #setStep(pid: number, known: Observed, step: number): void {
    known.step = step;
    setSlack(pid, STEPS[step]!.slackMs);
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
function setSlack(pid: number, ms: number): void {
  const ns = String(ms * 1e6);
  try {
    for (const thread of readdirSync(`/proc/${pid}/task`)) writeFileSync(`/proc/${thread}/timerslack_ns`, ns);
  } catch {
    // It has ended, or a thread of it has; or the kernel does not allow it, which costs processor time and nothing else.
  }
}
