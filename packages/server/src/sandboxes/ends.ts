// How sandboxes end: at their end time, when they are asked to, and when what runs in them has ended by itself.

import { setImmediate as turn } from 'node:timers/promises';
import type { LifecycleEvent } from '../events/lifecycle-event.ts';
import type { Core } from './core.ts';
import { faultPoint } from './fault-point.ts';
import { type EndReason, executionData, lifecycleEvent } from './lifecycle-events.ts';
import type { Pausing } from './pausing.ts';
import { isRunning, type RunningSandbox, type SandboxRecord } from './sandbox-record.ts';
import { untilDone } from './until-done.ts';

const LIVENESS_MS = 1000;
/** A thousand at once would take tens of milliseconds, in which nothing else is done. */
const LOOK_AT_ONCE = 50;
/** When a pause or kill at the end time failed, it is tried again after this; a pause until the longest life is over. */
const RETRY_MS = 30_000;

export class Ends {
  readonly #core: Core;
  readonly #pausing: Pausing;
  readonly #longestLifeMs: number;
  /** Removals that go on in the background. */
  readonly #removals = new Map<string, Promise<void>>();
  /** Sandboxes whose processes have ended, until that is recorded. */
  readonly #ended = new Set<string>();
  #liveness: NodeJS.Timeout | undefined;
  #closing = false;

  constructor(core: Core, pausing: Pausing, longestLifeMs: number) {
    this.#core = core;
    this.#pausing = pausing;
    this.#longestLifeMs = longestLifeMs;
  }

  /** Looks from now on for sandboxes whose processes have ended. */
  watch(): void {
    this.#liveness = setInterval(() => void this.#checkLiveness(), LIVENESS_MS);
  }

  /** Moves the end of a sandbox to `endAt`, milliseconds since 1970. */
  move(record: RunningSandbox, endAt: number): RunningSandbox {
    const { records, timers, now } = this.#core;
    const data = { set_timeout: new Date(endAt).toISOString() };
    const moved = records.update({ ...record, endAt }, lifecycleEvent('updated', record, now(), data));
    timers.set(record.id, endAt);
    return moved;
  }

  /** At its end time a sandbox is paused or killed, as it was created to be. */
  async onEndTime(id: string): Promise<void> {
    const { records, timers, exclusive, log, now } = this.#core;
    try {
      await exclusive.run(id, async () => {
        const record = records.get(id);
        // Its end may have been moved while this waited; another timer then waits for it.
        if (record === undefined || !isRunning(record) || timers.has(id)) return;
        if (record.spec.lifecycle.onTimeout === 'kill') await this.end(record, 'timeout');
        else await this.#pauseAtEnd(record);
      });
    } catch (error) {
      log.event('sandbox not ended', { sandboxId: id, error });
      const record = records.get(id);
      const isLeft = record !== undefined && isRunning(record) && !timers.has(id) && !this.#closing;
      if (isLeft) timers.set(id, now() + RETRY_MS);
    }
  }

  async #pauseAtEnd(record: RunningSandbox): Promise<void> {
    const { records, log, now } = this.#core;
    const { id, spec } = record;
    // Both move with the wall clock.
    const isMoved = (): boolean => lifeOf(records.get(id)) !== lifeOf(record);
    try {
      await this.#pausing.pause(record, spec.lifecycle.keepMemory, isMoved);
    } catch (error) {
      const left = records.get(id);
      if (isMoved() || left === undefined || !isRunning(left)) return;
      // Better late than lost, but not for ever.
      const again = now() + RETRY_MS;
      if (again > left.startedAt + this.#longestLifeMs) return this.end(record, 'pause_failed');
      log.event('pause at the end time failed', { sandboxId: id, error });
      this.move(left, again);
    }
  }

  /** Returns when its URLs are dead. The caller holds its lock, or is the only one who knows it. */
  async end(record: SandboxRecord, reason: EndReason): Promise<void> {
    const { records, timers, routes, log } = this.#core;
    const { id } = record;
    const ending = records.update({ ...record, state: 'ending' } as const, this.killed(record, reason));
    faultPoint('kill:recorded');
    timers.clear(id);
    log.event('sandbox ended', { sandboxId: id, reason });
    await routes.deleteRoute(id);
    faultPoint('kill:unrouted');
    this.#removals.set(id, this.#remove(ending));
  }

  /** The event of an end. */
  killed(record: SandboxRecord, reason: EndReason): LifecycleEvent {
    const at = this.#core.now();
    // Of a paused one the event of its pause has told what it was.
    const execution = isRunning(record) ? executionData(record, at) : {};
    return lifecycleEvent('killed', record, at, { ...execution, kill_reason: reason });
  }

  /** Nothing ends by itself any more. */
  stop(): void {
    this.#closing = true;
    clearInterval(this.#liveness);
    this.#core.timers.close();
  }

  /** Returns when all that has ended is gone, or cannot be removed. */
  async removed(): Promise<void> {
    await Promise.allSettled(this.#removals.values());
  }

  async #remove(record: SandboxRecord): Promise<void> {
    const { records, host, log, isKept, ending, removals } = this.#core;
    await this.#pausing.removed(record.id);
    // Where it is not done at the end, the record stays, so that the next start removes what is left.
    await untilDone(
      async () => {
        const { placement } = record;
        if (placement !== undefined) await removals.run(() => host.remove(placement));
        const { snapshot } = record;
        if (snapshot !== undefined && !isKept(snapshot)) await host.removeSnapshot(snapshot);
        faultPoint('kill:removed');
        records.delete(record.id);
      },
      (error) => log.event('sandbox not removed', { sandboxId: record.id, error }),
      ending,
    );
    this.#removals.delete(record.id);
  }

  async #checkLiveness(): Promise<void> {
    const { records, host, log, now } = this.#core;
    try {
      // A jump of the wall clock is noticed also when nobody asks for the time.
      now();
      const running = records.values().filter(isRunning);
      for (let first = 0; first < running.length; first += LOOK_AT_ONCE) {
        const some = running.slice(first, first + LOOK_AT_ONCE);
        const ended = new Set(host.findEnded(some.map(({ placement }) => placement.container)));
        // Not waited for: what is done with one sandbox, and may hang, must not end the watch of all others.
        for (const one of some) if (ended.has(one.placement.container)) void this.#endEnded(one);
        await turn();
      }
      host.calmIdle();
    } catch (error) {
      log.event('liveness check failed', { error });
    }
  }

  /** Once at a time for each. Where it fails the next look tries again. */
  async #endEnded({ id, placement }: RunningSandbox): Promise<void> {
    const { records, host, exclusive, log } = this.#core;
    if (this.#ended.has(id)) return;
    this.#ended.add(id);
    try {
      await exclusive.run(id, async () => {
        const record = records.get(id);
        // It may have been paused meanwhile, and even resumed elsewhere.
        if (record === undefined || !isRunning(record) || record.placement.container !== placement.container) return;
        await this.end(record, host.ranOutOfMemory(placement) ? 'out_of_memory' : 'exited');
      });
    } catch (error) {
      log.event('liveness check failed', { sandboxId: id, error });
    } finally {
      this.#ended.delete(id);
    }
  }
}

/** Milliseconds from start to end. */
function lifeOf(record: SandboxRecord | undefined): number | undefined {
  return record && record.endAt - record.startedAt;
}
