// Snapshots that outlive their sandbox, and forks: one moment of a sandbox, from which others start.
import { randomUUID } from 'node:crypto';
import { SandportError } from '@sandport/protocol/errors';
import { reasonOf } from '../host/connecting-sockets.ts';
import type { Core } from './core.ts';
import { faultPoint } from './fault-point.ts';
import { assertKeepable } from './lifecycle.ts';
import { lifecycleEvent } from './lifecycle-events.ts';
import type { RunningSandbox, SnapshotRecord, SnapshotRecordStore } from './sandbox-record.ts';
import { heldRoute, runningRoute } from './sandbox-route.ts';
import { newSnapshotId } from './snapshot-id.ts';
import { DEFAULT_TAG, parseTemplateName, readSnapshotName } from './template-name.ts';

export class Snapshots {
  readonly #core: Core;
  readonly #store: SnapshotRecordStore;
  readonly #most: number;
  readonly #templates: readonly string[];
  readonly #records = new Map<string, SnapshotRecord>();
  /** How many are being made. */
  #begun = 0;
  /** How many starts read a snapshot now: its files stay until they have. */
  readonly #readers = new Map<string, number>();

  /**
   * @param most snapshots kept at once; one more is answered with `too_many_snapshots`
   * @param templates names that no snapshot may have
   */
  constructor(core: Core, store: SnapshotRecordStore, most: number, templates: readonly string[]) {
    this.#core = core;
    this.#most = most;
    this.#templates = templates;
    this.#store = store;
  }

  /** Takes over what the store has. To be called once, first. */
  load(): SnapshotRecord[] {
    for (const record of this.#store.all()) this.#records.set(record.id, record);
    return this.list();
  }

  list(): SnapshotRecord[] {
    return [...this.#records.values()];
  }

  /** Whether its files stay when a sandbox that had it does not need it any more. */
  isKept(id: string): boolean {
    return this.#records.has(id) || this.#readers.has(id);
  }

  /** The newest one that was made of a sandbox. */
  latestOf(sandboxId: string): SnapshotRecord | undefined {
    const own = this.list().filter((record) => record.sandboxId === sandboxId);
    return own.sort((a, b) => b.createdAt - a.createdAt)[0];
  }

  /** By ID or name, with or without a tag. */
  find(text: string): SnapshotRecord | undefined {
    const { name, tag } = parseTemplateName(text);
    const byId = this.#records.get(name);
    if (byId !== undefined && tag === DEFAULT_TAG) return byId;
    return this.list().find((record) => record.name === `${name}:${tag}`);
  }

  /** Makes a snapshot of a sandbox that runs on; the caller holds its lock. Throws as `capture` and for a bad name. */
  async create(record: RunningSandbox, givenName: string | undefined): Promise<SnapshotRecord> {
    const { log, now } = this.#core;
    const name = givenName === undefined ? undefined : readSnapshotName(givenName, this.#templates);
    if (this.#records.size + this.#begun >= this.#most) {
      throw new SandportError('too_many_snapshots', `there are ${this.#most} snapshots already, which is the most`);
    }
    const id = newSnapshotId();
    const asked = now();
    this.#begun++;
    try {
      await this.capture(record, id, true);
    } finally {
      this.#begun--;
    }
    const snapshot: SnapshotRecord = { id, name, sandboxId: record.id, createdAt: now(), spec: record.spec };
    try {
      this.#store.insert(snapshot, lifecycleEvent('checkpointed', record, snapshot.createdAt, { snapshot_id: id }));
    } catch (error) {
      await this.remove(id);
      throw snapshotFailed(error);
    }
    this.#core.onEvent();
    for (const other of this.list()) {
      if (name !== undefined && other.name === name) this.#records.set(other.id, { ...other, name: undefined });
    }
    this.#records.set(id, snapshot);
    faultPoint('snapshot:recorded');
    log.event('snapshot created', { sandboxId: record.id, snapshotId: id, ms: now() - asked });
    return snapshot;
  }

  /**
   * Writes down a sandbox that runs on; the caller holds its lock. Requests wait meanwhile, connections are cut. Throws
   * `not_supported`, `capacity_exhausted` or `snapshot_failed`.
   */
  async capture(record: RunningSandbox, id: string, durable: boolean): Promise<void> {
    const { host, saves } = this.#core;
    assertKeepable(true, host.keepsMemory);
    await host.assertRoomFor(record.placement);
    await saves.run(() => this.#captureNow(record, id, durable));
  }

  async #captureNow(record: RunningSandbox, id: string, durable: boolean): Promise<void> {
    const { host, records, routes, tokens, log } = this.#core;
    await routes.setRoute(heldRoute(record, tokens, false));
    faultPoint('snapshot:held');
    try {
      await host.snapshot(record.placement, id, { durable, controlToken: tokens.agentControl(record.id) });
      faultPoint('snapshot:written');
    } catch (error) {
      log.event('snapshot not created', { sandboxId: record.id, error });
      throw snapshotFailed(error);
    } finally {
      // Its end may have been moved meanwhile, which needs no lock.
      const latest = (records.get(record.id) ?? record) as RunningSandbox;
      const running = records.restore({ ...latest, generation: randomUUID() });
      await routes.setRoute(runningRoute(running, tokens));
    }
  }

  /** Has the files of a snapshot stay until `task` has ended. */
  async reading<T>(id: string, task: () => Promise<T>): Promise<T> {
    this.#readers.set(id, (this.#readers.get(id) ?? 0) + 1);
    try {
      return await task();
    } finally {
      const left = this.#readers.get(id)! - 1;
      if (left > 0) this.#readers.set(id, left);
      else {
        this.#readers.delete(id);
        await this.#removeUnneeded(id);
      }
    }
  }

  /** Deletes a snapshot; sandboxes created from it go on. Throws `snapshot_not_found`. */
  async delete(text: string): Promise<void> {
    const record = this.find(text);
    if (record === undefined) throw new SandportError('snapshot_not_found', `snapshot '${text}' not found`);
    this.#store.delete(record.id);
    this.#records.delete(record.id);
    this.#core.log.event('snapshot deleted', { snapshotId: record.id });
    await this.#removeUnneeded(record.id);
  }

  /** A sandbox that is to go on from a deleted one has it from then on, and removes it when it has. */
  async #removeUnneeded(id: string): Promise<void> {
    const isNeeded = this.#core.records.values().some(({ snapshot, state }) => snapshot === id && state !== 'ending');
    if (!isNeeded && !this.isKept(id)) await this.remove(id);
  }

  /** One that cannot be removed now is nobody's, and goes at the next start. */
  async remove(id: string): Promise<void> {
    const { host, log } = this.#core;
    await host.removeSnapshot(id).catch((error: unknown) => log.event('snapshot not removed', { id, error }));
  }
}

function snapshotFailed(cause: unknown): SandportError {
  return new SandportError('snapshot_failed', `the snapshot could not be made; the sandbox runs on${reasonOf(cause)}`, {
    cause,
  });
}

/** By what a program names a snapshot: its name where it has one, else its ID. */
export function snapshotReference({ id, name }: SnapshotRecord): string {
  return name ?? `${id}:${DEFAULT_TAG}`;
}
