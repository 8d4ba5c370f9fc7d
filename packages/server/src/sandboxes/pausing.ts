// Pause and resume. The record says how far it has come, so that a crash at any point loses neither the sandbox nor
// its snapshot; see `recoverPause`.
import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { SandportError } from '@sandport/protocol/errors';
import { addTraffic, NO_TRAFFIC } from '../egress/add-traffic.ts';
import type { EgressTraffic } from '../egress/messages.ts';
import { reasonOf } from '../host/connecting-sockets.ts';
import type { Core } from './core.ts';
import { faultPoint } from './fault-point.ts';
import { assertKeepable } from './lifecycle.ts';
import { executionData, lifecycleEvent } from './lifecycle-events.ts';
import { isPaused, isRunning, type PausedSandbox, type RunningSandbox, type SandboxRecord } from './sandbox-record.ts';
import { heldRoute, pausedRoute, runningRoute } from './sandbox-route.ts';
import { newSnapshotId } from './snapshot-id.ts';
import { startSandbox } from './starting.ts';
import { untilDone } from './until-done.ts';

/** For what a sandbox had before its pause to be gone. */
const LONGEST_WAIT_MS = 30_000;
/** Of a resumption, which its caller is told as they are. */
const KNOWN_FAILURES: ReadonlySet<string> = new Set(['snapshot_unusable', 'shutting_down', 'capacity_exhausted']);

export class Pausing {
  readonly #core: Core;
  /** Places of paused sandboxes, and snapshots of resumed ones, that are being removed. A sandbox may have several. */
  readonly #removals = new Set<{ readonly id: string; readonly done: Promise<void> }>();
  /** Sandboxes that are being mended. */
  readonly #mending = new Set<Promise<void>>();

  constructor(core: Core) {
    this.#core = core;
  }

  /**
   * Pauses a sandbox that runs; the caller holds its lock. When it throws, the sandbox runs on. Throws `not_supported`,
   * `capacity_exhausted` or `sandbox_pause_failed`.
   *
   * @param isOff asked when all is ready: whether the pause is not wanted any more, and there is to be none
   */
  async pause(asRead: RunningSandbox, keepMemory: boolean, isOff = () => false): Promise<void> {
    const { records, host, timers, tokens, log, now, saves } = this.#core;
    assertKeepable(keepMemory, host.keepsMemory);
    await host.assertRoomFor(asRead.placement);
    // Its end may have been moved meanwhile, which needs no lock.
    if (isOff()) return;
    const record = (records.get(asRead.id) ?? asRead) as RunningSandbox;
    const asked = now();
    const snapshot = newSnapshotId();
    const pausing = records.update({ ...record, state: 'pausing', snapshot });
    faultPoint('pause:recorded');
    timers.clear(record.id);
    // Clients see an abrupt end, as of a sandbox that is killed.
    await this.#hold(pausing, keepMemory);
    faultPoint('pause:unrouted');
    try {
      const controlToken = tokens.agentControl(record.id);
      await saves.run(() => host.pause(record.placement, snapshot, { keepMemory, controlToken }));
    } catch (error) {
      throw await this.#goOn(record, error);
    }
    faultPoint('pause:written');
    const trafficBefore = await this.#trafficOf(record);
    const at = now();
    let paused: PausedSandbox;
    try {
      paused = records.update(
        { ...pausing, state: 'paused', snapshot, endAt: at, trafficBefore },
        lifecycleEvent('paused', pausing, at, executionData(pausing, at)),
      );
    } catch (error) {
      // Before it goes on: a start that found the snapshot would take the sandbox for paused.
      const onError = (reason: unknown): void =>
        log.event('snapshot not removed', { snapshotId: snapshot, error: reason });
      await host.removeSnapshot(snapshot).catch(onError);
      throw await this.#goOn(record, error);
    }
    faultPoint('pause:paused');
    log.event('sandbox paused', { sandboxId: record.id, keepMemory, ms: now() - asked });
    this.#track(record.id, this.#removePlace(paused));
  }

  /** A sandbox that is not paused after all. Returns what the caller is told. */
  async #goOn(record: RunningSandbox, cause: unknown): Promise<SandportError> {
    const { records, host, routes, tokens, timers, log } = this.#core;
    log.event('sandbox not paused', { sandboxId: record.id, error: cause });
    const onError = (error: unknown): void => log.event('sandbox not mended', { sandboxId: record.id, error });
    await host.mend(record.placement).catch((error: unknown) => {
      onError(error);
      const mending = this.#mend(record, onError).finally(() => this.#mending.delete(mending));
      this.#mending.add(mending);
    });
    const { startedAt, endAt } = records.get(record.id) ?? record;
    const running = records.restore({ ...record, startedAt, endAt, generation: randomUUID() });
    timers.set(record.id, running.endAt);
    await routes.setRoute(runningRoute(running, tokens));
    return new SandportError('sandbox_pause_failed', `the sandbox could not be paused and runs on${reasonOf(cause)}`, {
      cause,
    });
  }

  /** Tries again, while it runs there, what it could not be given back at once: its network, and that it goes on. */
  async #mend({ id, placement }: RunningSandbox, onError: (error: unknown) => void): Promise<void> {
    const { records, host, exclusive, ending } = this.#core;
    const mendOnce = async (): Promise<void> => {
      const record = records.get(id);
      if (record !== undefined && isRunning(record) && record.placement.container === placement.container) {
        await host.mend(placement);
      }
    };
    await untilDone(() => exclusive.run(id, mendOnce), onError, ending);
  }

  /** Of its whole life: the packet filter's counters end with the slot. */
  async #trafficOf({ id, placement, trafficBefore = NO_TRAFFIC }: RunningSandbox): Promise<EgressTraffic> {
    const { host, log } = this.#core;
    try {
      const [traffic = NO_TRAFFIC] = await host.traffic([placement]);
      return addTraffic(trafficBefore, traffic);
    } catch (error) {
      log.event('traffic of a paused sandbox not kept', { sandboxId: id, error });
      return trafficBefore;
    }
  }

  /**
   * Brings a paused sandbox back; the caller holds its lock. When it throws, the sandbox is paused as before. Throws
   * `too_many_sandboxes`, `capacity_exhausted`, `snapshot_unusable`, `shutting_down` or `sandbox_resume_failed`.
   *
   * @param restart whether its processes are not to go on, though they were kept
   */
  async resume(paused: PausedSandbox, seconds: number, restart = false): Promise<RunningSandbox> {
    const { records, host, log, now } = this.#core;
    this.#core.assertRoom(paused.spec.apiKeyId);
    const asked = now();
    // A disk has to be let go of first; memory goes on elsewhere while the old place is being removed.
    if (!host.keepsMemory) {
      await this.#removeDiskPlace(paused);
      // Others may have begun meanwhile.
      this.#core.assertRoom(paused.spec.apiKeyId);
    }
    const before: PausedSandbox = { ...paused, placement: undefined };
    const resuming = records.update({
      ...before,
      state: 'resuming',
      generation: randomUUID(),
      startedAt: asked,
      endAt: asked + seconds * 1000,
    } as const);
    faultPoint('resume:recorded');
    let running: RunningSandbox;
    try {
      const source = { kind: 'snapshot', id: paused.snapshot, restart } as const;
      running = await startSandbox(this.#core, resuming, { source, step: 'resume' });
    } catch (error) {
      records.restore(before);
      log.event('sandbox not resumed', { sandboxId: paused.id, error });
      if (error instanceof SandportError && KNOWN_FAILURES.has(error.code)) throw error;
      throw new SandportError('sandbox_resume_failed', 'the sandbox could not be resumed and stays paused', {
        cause: error,
      });
    }
    log.event('sandbox resumed', { sandboxId: paused.id, ms: now() - asked });
    if (this.#core.isKept(paused.snapshot)) return running;
    // One that cannot be removed is nobody's, and goes at the next start.
    const removal = host.removeSnapshot(paused.snapshot);
    this.#track(
      paused.id,
      removal.catch((error: unknown) => log.event('snapshot not removed', { error })),
    );
    return running;
  }

  /**
   * Decides, after a crash, what an interrupted pause or resumption has come to.
   *
   * @returns the record to go on with; the machine is brought in line with it afterwards
   */
  recover(record: SandboxRecord): SandboxRecord {
    const { records, host, now } = this.#core;
    const { state, snapshot } = record;
    if (state === 'pausing' && snapshot !== undefined) {
      if (host.hasSnapshot(snapshot)) {
        const at = now();
        return records.update(
          { ...record, state: 'paused', placement: undefined, endAt: at },
          lifecycleEvent('paused', record, at, executionData(record, at)),
        );
      }
      const { snapshot: _none, ...running } = record;
      return records.update({ ...running, state: 'running' });
    }
    if (state === 'resuming') return records.update({ ...record, state: 'paused', placement: undefined });
    // Its place is removed as nobody's.
    if (state === 'paused' && record.placement !== undefined)
      return records.update({ ...record, placement: undefined });
    return record;
  }

  /** Routes the requests to a paused sandbox, of an earlier process or changed since. */
  async route(paused: PausedSandbox): Promise<void> {
    await this.#hold(paused, !this.#core.host.forgetsMemory(paused.snapshot));
  }

  /**
   * Has requests to a sandbox that does not run wait for it, or fail at once where they would not wake it: what has to
   * be started anew has no server that could answer.
   */
  async #hold(record: SandboxRecord, keepsMemory: boolean): Promise<void> {
    const { routes, tokens } = this.#core;
    const wakes = record.spec.lifecycle.autoResume && keepsMemory;
    await routes.setRoute(wakes ? heldRoute(record, tokens, true) : pausedRoute(record, tokens));
  }

  #track(id: string, done: Promise<void>): void {
    const removal = { id, done };
    this.#removals.add(removal);
    void done.finally(() => this.#removals.delete(removal));
  }

  /** Waits until the place of a paused sandbox has been removed; without an ID, until nothing goes on any more. */
  async removed(id?: string): Promise<void> {
    const removals = [...this.#removals].filter((removal) => id === undefined || removal.id === id);
    await Promise.all(removals.map(({ done }) => done));
    if (id === undefined) await Promise.all(this.#mending);
  }

  async #removeDiskPlace(paused: PausedSandbox): Promise<void> {
    await Promise.race([this.removed(paused.id), delay(LONGEST_WAIT_MS, undefined, { ref: false })]);
    if (this.#core.records.get(paused.id)?.placement !== undefined) {
      throw new SandportError('sandbox_resume_failed', 'what the sandbox had before its pause could not be removed');
    }
  }

  async #removePlace(paused: PausedSandbox): Promise<void> {
    const { records, host, log, ending, removals } = this.#core;
    const { id, placement } = paused;
    if (placement === undefined) return;
    await untilDone(
      async () => {
        await removals.run(() => host.removePaused(placement));
        faultPoint('pause:removed');
        // Unless it was killed or resumed meanwhile.
        const record = records.get(id);
        if (record !== undefined && isPaused(record) && record.placement?.container === placement.container) {
          records.update({ ...record, placement: undefined });
        }
      },
      (error) => log.event('place of a paused sandbox not removed', { sandboxId: id, error }),
      ending,
    );
  }
}
