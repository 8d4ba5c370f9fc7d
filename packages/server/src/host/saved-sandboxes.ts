// Sandboxes that are written down: with their memory where the runtime can, else their disk; and where a start from one begins.
import { join } from 'node:path';
import { SandportError } from '@sandport/protocol/errors';
import { untilNoneConnects } from './connecting-sockets.ts';
import type { Containers } from './containers.ts';
import type { DiskStore } from './disk/sandbox-disk.ts';
import type { Slots } from './network/slots.ts';
import type { Origin, Place, Placement, StartSource } from './placement.ts';
import { PreparedContainers } from './prepared-containers.ts';
import type { ContainerBasis, Runtime } from './runtime/runtime.ts';
import { type SnapshotManifest, SnapshotStore } from './snapshot/snapshot-store.ts';

export interface SavedSandboxesOptions {
  readonly runtime: Runtime;
  readonly slots: Slots;
  readonly disks: DiskStore;
  readonly containers: Containers;
  /** Where snapshots are. */
  readonly directory: string;
  /** Of most sandboxes, with the newest agent. */
  readonly basis: ContainerBasis;
  /** How many containers are kept for resumptions, at most. */
  readonly mostPrepared: number;
  /** Keeps memory for one that is being made; throws where there is none. */
  readonly reserveAhead: () => Disposable;
  readonly onPrepareError: (error: unknown) => void;
}

export interface WriteOptions {
  /**
   * Whether it survives a crash of the machine; else it is read at once, and a container for the first who reads it is
   * made meanwhile.
   */
  readonly durable: boolean;
  /** By which its agent knows the host. */
  readonly controlToken: string;
}

export interface WriteLastOptions {
  readonly keepMemory: boolean;
  /** As of `WriteOptions`. */
  readonly controlToken: string;
}

/** Name of the disk in a snapshot that has one. */
const DISK_FILE = 'disk';

export class SavedSandboxes {
  readonly #options: SavedSandboxesOptions;
  readonly #store: SnapshotStore;
  readonly #prepared: PreparedContainers;

  constructor(options: SavedSandboxesOptions) {
    this.#options = options;
    this.#store = new SnapshotStore(options.directory);
    this.#prepared = new PreparedContainers({
      containers: options.containers,
      basis: options.basis,
      most: options.runtime.checkpoints === undefined ? 0 : options.mostPrepared,
      reserveAhead: options.reserveAhead,
      isWanted: () => this.#store.count > 0,
      onError: options.onPrepareError,
    });
  }

  /**
   * Of one that runs on. Its TCP connections are reset. When this throws there is no snapshot. Throws `not_supported`
   * where the runtime cannot, and `StillConnecting`.
   */
  async write(placement: Placement, id: string, { durable, controlToken }: WriteOptions): Promise<void> {
    const { runtime, slots } = this.#options;
    using _hold = this.#prepared.hold();
    if (!durable && runtime.checkpoints !== undefined) this.#prepared.begin(id, placement.basis);
    try {
      if (runtime.checkpoints !== undefined) await this.#cutOff(placement, controlToken);
      await this.#writeMemory(placement, id, {}, durable);
    } catch (error) {
      await this.#prepared.end(id);
      throw error;
    } finally {
      await slots.mend(placement.slot);
    }
  }

  /** Of one that is to end. When this throws, as `write` does, there is no snapshot, and it is to go on: see `goOn`. */
  async writeLast(placement: Placement, id: string, { keepMemory, controlToken }: WriteLastOptions): Promise<void> {
    const { runtime, slots } = this.#options;
    using _hold = this.#prepared.hold();
    // What it does between the snapshot and its end is not in the snapshot, so nobody may see it.
    if (runtime.checkpoints === undefined && !keepMemory) {
      await slots.cut(placement.slot);
      return this.#writeDisk(placement, id);
    }
    await this.#cutOff(placement, controlToken);
    // A runtime that keeps memory keeps files in it: without the one there are not the others.
    await this.#writeMemory(placement, id, keepMemory ? {} : { restart: true }, true);
  }

  /** Refuses all that it sends, and returns when it makes no connection any more: those cannot be written down. */
  async #cutOff({ slot, address }: Placement, controlToken: string): Promise<void> {
    await this.#options.slots.cut(slot);
    await untilNoneConnects(address, controlToken);
  }

  /** Undoes what `writeLast` has done to a sandbox. Can be repeated. */
  async goOn(placement: Placement): Promise<void> {
    const { runtime, slots, containers } = this.#options;
    try {
      if (runtime.freezer !== undefined) await containers.thaw(placement);
    } finally {
      await slots.mend(placement.slot);
    }
  }

  has(id: string): boolean {
    return this.#store.has(id);
  }

  /** Bytes on the disk: what comes back into memory, and to a disk, when a sandbox is started from it. */
  size(id: string): Promise<number> {
    return this.#store.size(id);
  }

  /** Whether processes do not go on when a sandbox is started from it. */
  forgetsMemory(id: string): boolean {
    return this.#store.forgetsMemory(id);
  }

  /** A container for its memory, in which nothing runs yet; undefined when there is none. */
  async takePrepared(id: string, { basis, memory }: Origin): Promise<Place | undefined> {
    return memory && this.#prepared.take(id, basis);
  }

  /** Somebody waits for a start: until a moment after the end of it no container is prepared ahead of time. */
  hold(): Disposable {
    return this.#prepared.hold();
  }

  /** Begins to prepare containers, if there is anything that could be brought back. */
  prepare(): void {
    this.#prepared.adjust();
  }

  /** Where a start from it begins. Throws `snapshot_unusable`. */
  async origin({ id, restart: forgets }: StartSource & { readonly kind: 'snapshot' }): Promise<Origin> {
    const { runtime, basis: newest } = this.#options;
    const manifest = await this.#store.manifest(id);
    if (manifest.runtime !== runtime.name) {
      throw new SandportError(
        'snapshot_unusable',
        `the snapshot was made with ${manifest.runtime}, and this server runs ${runtime.name}`,
      );
    }
    const content = this.#store.contentOf(id);
    const { image, limits } = manifest;
    // The agent in memory goes on, and has its files mapped; one that starts anew is the newest.
    if (manifest.kind === 'disk') {
      const basis = { image, agentDirectory: newest.agentDirectory, limits };
      return { basis, disk: join(content, DISK_FILE) };
    }
    const basis = { image, agentDirectory: manifest.agentDirectory, limits };
    const restart = manifest.restart === true || forgets === true;
    return { basis, memory: { directory: content, durable: manifest.durable !== false }, restart };
  }

  async remove(id: string): Promise<void> {
    await Promise.all([this.#store.remove(id), this.#prepared.end(id)]);
    this.#prepared.adjust();
  }

  /** Removes all others. */
  keepOnly(ids: ReadonlySet<string>): Promise<void> {
    return this.#store.keepOnly(ids);
  }

  close(): Promise<void> {
    return this.#prepared.close();
  }

  async #writeMemory(
    placement: Placement,
    id: string,
    more: Pick<SnapshotManifest, 'restart'>,
    durable: boolean,
  ): Promise<void> {
    const { containers } = this.#options;
    const { name: runtime, checkpoints } = this.#options.runtime;
    if (checkpoints === undefined) {
      throw new SandportError(
        'not_supported',
        `${runtime} cannot keep the memory of a sandbox: start Sandport with --runtime runsc`,
      );
    }
    const manifest: SnapshotManifest = { runtime, kind: 'memory', durable, ...more, ...placement.basis };
    const write = (directory: string) => checkpoints.save(placement.container, directory, durable);
    await this.#store.create(id, manifest, write, durable);
    // One that has ended meanwhile may have been at its end in the snapshot: nothing could go on from that.
    if (!containers.isAlive(placement.container)) {
      await this.#store.remove(id);
      throw new Error('its processes ended while they were written down');
    }
  }

  /** The processes stand still from now on, and the disk gets a second name. */
  async #writeDisk({ basis, disk, container }: Placement, id: string): Promise<void> {
    const { runtime, disks } = this.#options;
    const manifest: SnapshotManifest = { runtime: runtime.name, kind: 'disk', ...basis };
    await runtime.freezer?.freeze(container);
    await this.#store.create(id, manifest, (directory) => disks.save(disk, join(directory, DISK_FILE)));
  }
}
