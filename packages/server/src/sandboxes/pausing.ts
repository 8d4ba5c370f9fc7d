// Pause and resume. The record says how far it has come, so that a crash at any point loses neither the sandbox nor
// its snapshot; see `recoverPause`.
import { randomUUID } from 'node:crypto';
import { SandportError } from '@sandport/protocol/errors';
import type { Core } from './core.ts';
import { faultPoint } from './fault-point.ts';
import { assertKeepable } from './lifecycle.ts';
import { isPaused, type PausedSandbox, type RunningSandbox, type SandboxRecord } from './sandbox-record.ts';
import { heldRoute, pausedRoute, runningRoute } from './sandbox-route.ts';
import { newSnapshotId } from './snapshot-id.ts';
import { startSandbox } from './starting.ts';

export class Pausing {
  readonly #core: Core;
  /** Places of paused sandboxes that are being removed, by sandbox ID. */
  readonly #removals = new Map<string, Promise<void>>();

  constructor(core: Core) {
    this.#core = core;
  }

  /**
   * Pauses a sandbox that runs; the caller holds its lock. When it throws, the sandbox runs on. Throws `not_supported`
   * or `sandbox_pause_failed`.
   */
  async pause(record: RunningSandbox, keepMemory: boolean): Promise<PausedSandbox> {
    const { records, host, routes, tokens, timers, log, now } = this.#core;
    assertKeepable(keepMemory, host.keepsMemory);
    const asked = now();
    const snapshot = newSnapshotId();
    const pausing = records.update({ ...record, state: 'pausing', snapshot });
    faultPoint('pause:recorded');
    timers.clear(record.id);
    // Clients see an abrupt end, as of a sandbox that is killed.
    await this.hold(pausing);
    faultPoint('pause:unrouted');
    try {
      await host.pause(record.placement, snapshot, keepMemory);
    } catch (error) {
      log.event('sandbox not paused', { sandboxId: record.id, error });
      const running = records.update({ ...record, generation: randomUUID() });
      timers.set(record.id, running.endAt);
      await routes.setRoute(runningRoute(running, tokens));
      throw new SandportError('sandbox_pause_failed', 'the sandbox could not be paused and runs on', { cause: error });
    }
    faultPoint('pause:written');
    const paused: PausedSandbox = records.update({ ...pausing, state: 'paused', snapshot, endAt: now() });
    faultPoint('pause:paused');
    log.event('sandbox paused', { sandboxId: record.id, keepMemory, ms: now() - asked });
    const removal = this.#removePlace(paused).finally(() => this.#removals.delete(record.id));
    this.#removals.set(record.id, removal);
    return paused;
  }

  /**
   * Brings a paused sandbox back; the caller holds its lock. When it throws, the sandbox is paused as before. Throws
   * `too_many_sandboxes`, `snapshot_unusable`, `shutting_down` or `sandbox_resume_failed`.
   */
  async resume(paused: PausedSandbox, seconds: number): Promise<RunningSandbox> {
    const { records, host, log, now } = this.#core;
    this.#core.assertRoom();
    const asked = now();
    // A disk has to be let go of first; memory goes on elsewhere while the old place is being removed.
    if (!host.keepsMemory) await this.#removeDiskPlace(paused);
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
      const source = { kind: 'snapshot', id: paused.snapshot } as const;
      running = await startSandbox(this.#core, resuming, { source, step: 'resume' });
    } catch (error) {
      records.update(before);
      log.event('sandbox not resumed', { sandboxId: paused.id, error });
      if (error instanceof SandportError && ['snapshot_unusable', 'shutting_down'].includes(error.code)) throw error;
      throw new SandportError('sandbox_resume_failed', 'the sandbox could not be resumed and stays paused', {
        cause: error,
      });
    }
    log.event('sandbox resumed', { sandboxId: paused.id, ms: now() - asked });
    // One that cannot be removed is nobody's, and goes at the next start.
    host.removeSnapshot(paused.snapshot).catch((error: unknown) => log.event('snapshot not removed', { error }));
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
      if (host.hasSnapshot(snapshot))
        return records.update({ ...record, state: 'paused', placement: undefined, endAt: now() });
      const { snapshot: _none, ...running } = record;
      return records.update({ ...running, state: 'running' });
    }
    if (state === 'resuming') return records.update({ ...record, state: 'paused', placement: undefined });
    // Its place is removed as nobody's.
    if (state === 'paused' && record.placement !== undefined)
      return records.update({ ...record, placement: undefined });
    return record;
  }

  /** Has requests to a sandbox that does not run wait for it, or fail at once where they would not wake it. */
  async hold(record: SandboxRecord): Promise<void> {
    const { routes, tokens } = this.#core;
    const { lifecycle } = record.spec;
    await routes.setRoute(lifecycle.autoResume ? heldRoute(record, tokens, true) : pausedRoute(record, tokens));
  }

  /** Waits until the place of a paused sandbox has been removed; without an ID, those of all. */
  async removed(id?: string): Promise<void> {
    await Promise.all(id === undefined ? this.#removals.values() : [this.#removals.get(id)]);
  }

  async #removeDiskPlace(paused: PausedSandbox): Promise<void> {
    await this.removed(paused.id);
    await this.#removePlace(this.#core.records.get(paused.id) as PausedSandbox);
    if (this.#core.records.get(paused.id)?.placement !== undefined) {
      throw new SandportError('sandbox_resume_failed', 'what the sandbox had before its pause could not be removed');
    }
  }

  async #removePlace(paused: PausedSandbox): Promise<void> {
    const { records, host, log } = this.#core;
    if (paused.placement === undefined) return;
    try {
      await host.removePaused(paused.placement);
      faultPoint('pause:removed');
      // Unless it was killed or resumed meanwhile.
      const record = records.get(paused.id);
      if (record !== undefined && isPaused(record) && record.placement?.container === paused.placement.container)
        records.update({ ...record, placement: undefined });
    } catch (error) {
      log.event('place of a paused sandbox not removed', { sandboxId: paused.id, error });
    }
  }
}
