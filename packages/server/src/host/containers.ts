// Containers of this instance: each in a slot and on a disk of its own, started from an image, a checkpoint or a saved
// disk, and removed with all that it had.
import { mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { identify, isRunning, type ProcessIdentity } from '../process-identity.ts';
import { Semaphore } from '../semaphore.ts';
import type { DiskStore, SandboxDisk } from './disk/sandbox-disk.ts';
import type { Egress } from './network/egress.ts';
import type { EgressPolicy } from './network/egress-policy.ts';
import type { Slots } from './network/slots.ts';
import { newContainerName, type Origin, type Place, type Placement, SANDBOX_HOSTNAME } from './placement.ts';
import { ReadyPool } from './ready-pool.ts';
import type { ContainerBasis, ContainerSpec, Runtime } from './runtime/runtime.ts';

export interface ContainersOptions {
  readonly runtime: Runtime;
  readonly slots: Slots;
  readonly egress: Egress;
  readonly disks: DiskStore;
  /** Of the disks that are kept ready, mebibytes. */
  readonly diskSizeMB: number;
  /** How many disks are kept ready. */
  readonly ready: number;
  /** Where their bundles are. */
  readonly directory: string;
  readonly onError: (event: string, error: unknown) => void;
}

/** Removals at the start that go on at once. */
const AT_ONCE = 32;

export class Containers {
  readonly #options: ContainersOptions;
  readonly #readyDisks: ReadyPool<SandboxDisk>;
  readonly #processes = new Map<string, ProcessIdentity>();

  constructor(options: ContainersOptions) {
    this.#options = options;
    this.#readyDisks = new ReadyPool<SandboxDisk>({
      size: options.ready,
      make: () => options.disks.create(options.diskSizeMB),
      destroy: (disk) => options.disks.remove(disk.name),
      onError: (error) => options.onError('disk not made', error),
    });
  }

  /** Adopts those of the named ones that run, and removes all others. Returns the names of the adopted. */
  async adopt(names: ReadonlySet<string>): Promise<Set<string>> {
    const { runtime, directory, disks } = this.#options;
    const alive = new Set<string>();
    await runtime.endOrphans();
    // A pause that was interrupted has stopped what is to go on, or to be removed.
    if (runtime.freezer !== undefined)
      for (const disk of await disks.list()) await this.#attempt('disk not thawed', () => disks.thaw(disk));
    const removals = new Semaphore(AT_ONCE);
    const ending: Promise<void>[] = [];
    // What cannot be removed stays until a later start, and keeps nobody from the others.
    const remove = (id: string): Promise<void> =>
      removals.run(() => this.#attempt('leftover not removed', () => this.#remove(id)));
    for (const container of await runtime.list()) {
      const identity = container.running ? identify(container.pid) : undefined;
      if (names.has(container.id) && identity !== undefined) {
        alive.add(container.id);
        this.#processes.set(container.id, identity);
        await this.#attempt('container not thawed', async () => runtime.freezer?.thaw(container.id));
      } else {
        ending.push(remove(container.id));
      }
    }
    await Promise.all(ending);
    // A start that was interrupted has a bundle and perhaps a mount of its disk, and no container yet.
    for (const id of await readdir(directory).catch(() => [])) if (!alive.has(id)) await remove(id);
    return alive;
  }

  /** Removes the disks that none of these has. To be called once, before any is taken. */
  async keepOnlyDisks(names: ReadonlySet<string>): Promise<void> {
    const { disks } = this.#options;
    for (const name of await disks.list())
      if (!names.has(name)) await this.#attempt('leftover not removed', () => disks.remove(name));
  }

  /** Starts to make disks ahead of time. */
  fill(): void {
    this.#readyDisks.fill();
  }

  /** Of those that run, or have ended by themselves. */
  get processes(): Iterable<ProcessIdentity> {
    return this.#processes.values();
  }

  /** The first process of one. */
  processOf(container: string): ProcessIdentity | undefined {
    return this.#processes.get(container);
  }

  isAlive(container: string): boolean {
    const identity = this.#processes.get(container);
    return identity !== undefined && isRunning(identity);
  }

  /**
   * Starts one that is nobody's yet: its agent waits for an identity. Leaves nothing behind when it fails.
   *
   * @param egress in force before anything runs: the processes of a snapshot go on at once
   * @param placed is told the place before anything is started in it
   * @param prepared what `prepare` has made from the same basis
   */
  async start(
    { basis, memory, disk: saved }: Origin,
    egress: EgressPolicy,
    placed: (placement: Placement) => void,
    prepared?: Place,
  ): Promise<Placement> {
    const { runtime } = this.#options;
    const { placement, spec } = prepared ?? (await this.#makePlace(basis, saved));
    await using cleanup = new AsyncDisposableStack();
    cleanup.defer(() => this.remove(placement));
    placed(placement);
    await mkdir(spec.bundle, { recursive: true, mode: 0o711 });
    await this.#options.egress.set(placement.address, egress);
    const identity = await (memory === undefined
      ? runtime.run(spec)
      : runtime.checkpoints!.restore(spec, memory.directory, {
          prepared: prepared !== undefined,
          durable: memory.durable,
        }));
    this.#processes.set(placement.container, identity);
    cleanup.move();
    return placement;
  }

  /** Makes one in which nothing runs yet, for a checkpoint that is still being written. Leaves nothing behind when it fails. */
  async prepare(basis: ContainerBasis): Promise<Place> {
    const place = await this.#makePlace(basis, undefined);
    try {
      await mkdir(place.spec.bundle, { recursive: true, mode: 0o711 });
      this.#processes.set(place.spec.id, await this.#options.runtime.checkpoints!.prepare(place.spec));
      return place;
    } catch (error) {
      await this.remove(place.placement);
      throw error;
    }
  }

  /** Ends every process of one and removes all that it had. Can be repeated. */
  async remove({ container, slot, disk }: Placement): Promise<void> {
    await this.#remove(container);
    await Promise.all([this.#options.slots.remove(slot, container), this.#options.disks.remove(disk)]);
  }

  /** The same for one whose disk may have a second name: another may use it only when this one has let go of it. */
  async removeSaved(placement: Placement): Promise<void> {
    // Processes that have files open do not end on a disk that is frozen.
    if (this.#options.runtime.freezer !== undefined) await this.#options.disks.thaw(placement.disk);
    await this.#remove(placement.container);
    await this.#options.disks.unmount(placement.disk);
    await this.remove(placement);
  }

  /** Has one go on that was stopped. */
  async thaw({ container, disk }: Placement): Promise<void> {
    const { runtime, disks } = this.#options;
    await disks.thaw(disk);
    await runtime.freezer?.thaw(container);
  }

  close(): Promise<void> {
    return this.#readyDisks.close();
  }

  /** Slot and disk of one that is yet to be made. */
  async #makePlace(basis: ContainerBasis, saved: string | undefined): Promise<Place> {
    const { slots, disks, directory } = this.#options;
    await using cleanup = new AsyncDisposableStack();
    const container = newContainerName();
    const [slotResult, diskResult] = await Promise.allSettled([slots.take(container), this.#takeDisk(basis, saved)]);
    if (slotResult.status === 'fulfilled') cleanup.defer(() => slots.remove(slotResult.value.index, container));
    if (diskResult.status === 'fulfilled') cleanup.defer(() => disks.remove(diskResult.value.name));
    if (slotResult.status === 'rejected') throw slotResult.reason;
    if (diskResult.status === 'rejected') throw diskResult.reason;
    const slot = slotResult.value;
    const disk = diskResult.value;
    cleanup.move();
    const placement: Placement = { container, slot: slot.index, disk: disk.name, address: slot.address, basis };
    const spec: ContainerSpec = {
      id: container,
      bundle: join(directory, container),
      networkNamespace: slot.namespacePath,
      writable: disk.directory,
      hostname: SANDBOX_HOSTNAME,
      ...basis,
    };
    return { placement, spec };
  }

  #takeDisk({ limits }: ContainerBasis, saved: string | undefined): Promise<SandboxDisk> {
    const { disks, diskSizeMB } = this.#options;
    if (saved !== undefined) return disks.open(saved);
    return limits.diskSizeMB === diskSizeMB ? this.#readyDisks.take() : disks.create(limits.diskSizeMB);
  }

  async #attempt(event: string, task: () => Promise<void>): Promise<void> {
    try {
      await task();
    } catch (error) {
      this.#options.onError(event, error);
    }
  }

  async #remove(id: string): Promise<void> {
    const bundle = join(this.#options.directory, id);
    await this.#options.runtime.remove(id, bundle);
    this.#processes.delete(id);
    await rm(bundle, { recursive: true, force: true });
  }
}
