// This machine: starts a sandbox from what is ready, ends it, and knows after a restart what still runs.

import { randomBytes } from 'node:crypto';
import { mkdir, readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { AgentInit } from '@sandport/protocol/agent-init';
import type { LogEntry } from '@sandport/protocol/agent-log';
import { SandportError } from '@sandport/protocol/errors';
import type { EgressTraffic } from '../egress/messages.ts';
import { identify, isRunning, type ProcessIdentity } from '../process-identity.ts';
import { type AgentPlace, initialiseAgent, rehearse, untilAgentListens } from './agent-client.ts';
import { readAgentLog } from './agent-log.ts';
import { assertDisk, assertMemory } from './capacity.ts';
import { removeCgroups } from './cgroups.ts';
import { DiskStore, type SandboxDisk } from './disk/sandbox-disk.ts';
import type { Template } from './image/installation.ts';
import { type AddressBlock, SLOTS_PER_BLOCK, takeAddressBlock } from './network/address-block.ts';
import { Egress, type EgressReport } from './network/egress.ts';
import { type EgressPolicy, EVERYTHING, OPEN } from './network/egress-policy.ts';
import { shapeSlot } from './network/shape-slot.ts';
import {
  createSlots,
  cutSlot,
  listSlots,
  mendSlot,
  relaxSlot,
  removeSlot,
  type Slot,
  type SlotNames,
  slotNames,
} from './network/slot.ts';
import { Preparations } from './preparations.ts';
import { ReadyPool } from './ready-pool.ts';
import { IdleSlack } from './runtime/idle-slack.ts';
import { Runc } from './runtime/runc.ts';
import { createRunsc } from './runtime/runsc.ts';
import type { ContainerBasis, ContainerSpec, ResourceLimits, Runtime, RuntimeName } from './runtime/runtime.ts';
import { type SnapshotManifest, SnapshotStore } from './snapshot/snapshot-store.ts';
import { readOutOfMemory, readUsage, type Usage } from './usage.ts';
import type { DemandBounds } from './warm/demand.ts';
import { WarmPool } from './warm/warm-pool.ts';

export interface EgressLimits {
  /** Open at once, directly and through the proxy each. */
  readonly connections: number | undefined;
  /** Megabits a second, in each direction. */
  readonly bandwidthMbit: number | undefined;
}

export interface HostOptions {
  /** Short name of this instance, a-z0-9, at most 6 characters. */
  readonly instance: string;
  readonly dataDirectory: string;
  readonly runtime: RuntimeName;
  readonly agentDirectory: string;
  readonly limits: ResourceLimits;
  /** Slots and disks kept ready. */
  readonly ready: number;
  /** Sandboxes of this template are kept started, from so many to so many as demand asks for. */
  readonly warm: { readonly template: Template } & DemandBounds;
  /** Private ranges that sandboxes may reach all the same. */
  readonly permittedRanges: readonly string[];
  /** Of each sandbox; undefined: no limit. */
  readonly egressLimits: EgressLimits;
  /** Whom Sandport's resolver asks. */
  readonly nameservers: readonly string[];
  readonly onBackgroundError: (event: string, error: unknown) => void;
}

/** From what a container is started. */
export type StartSource =
  | { readonly kind: 'template'; readonly template: Template }
  /** Processes and files of a snapshot go on; of one without memory its files are there. */
  | {
      readonly kind: 'snapshot';
      readonly id: string;
      /** Whether its processes are to be forgotten, as by a restart. */
      readonly restart?: boolean;
    };

/** What makes a started container this sandbox. */
export interface Identity {
  readonly egress: EgressPolicy;
  readonly init: AgentInit;
  /** What the agent was last initialised with, where it comes out of a snapshot. */
  readonly previousControlToken?: string;
}

/** What the core keeps of a started sandbox, enough to find it again after a restart. */
export interface Placement {
  /** Name of the container, its bundle and its control group. */
  readonly container: string;
  readonly slot: number;
  readonly disk: string;
  readonly address: string;
  readonly basis: ContainerBasis;
}

/** What a container is started in. */
interface Place {
  readonly placement: Placement;
  readonly spec: ContainerSpec;
}

/** Where a start begins: from an image alone, from memory as it was, or from a disk as it was. */
interface Origin {
  readonly basis: ContainerBasis;
  /** A checkpoint. */
  readonly memory?: { readonly directory: string; readonly durable: boolean };
  /** Whether the processes in it are to be ended. */
  readonly restart?: boolean;
  /** File of a disk. */
  readonly disk?: string;
}

const AGENT_START_MS = 30_000;
const CLOSED: EgressPolicy = { ...OPEN, deny: [EVERYTHING] };
/** Inside every sandbox; part of a snapshot, and so of no sandbox in particular. */
export const SANDBOX_HOSTNAME = 'sandbox';
/** Name of the disk in a snapshot that has one. */
const DISK_FILE = 'disk';
const RUN_DIRECTORY = '/run/sandport';

export class Host {
  readonly #options: HostOptions;
  readonly #runtime: Runtime;
  readonly #block: AddressBlock;
  readonly #names: SlotNames;
  readonly #egress: Egress;
  readonly #disks: DiskStore;
  readonly #slots: ReadyPool<Slot>;
  readonly #readyDisks: ReadyPool<SandboxDisk>;
  readonly #freeIndices: number[] = [];
  readonly #processes = new Map<string, ProcessIdentity>();
  readonly #idleSlack = new IdleSlack();
  readonly #snapshots: SnapshotStore;
  readonly #preparations: Preparations<Place>;
  readonly #warm: WarmPool<Placement>;

  private constructor(options: HostOptions, runtime: Runtime, block: AddressBlock) {
    this.#options = options;
    this.#runtime = runtime;
    this.#block = block;
    this.#names = slotNames(options.instance);
    this.#egress = new Egress({
      dataDirectory: options.dataDirectory,
      table: `sandport_${options.instance}`,
      interfacePrefix: this.#names.interfacePrefix,
      blockCidr: block.cidr,
      permitted: options.permittedRanges,
      maxConnections: options.egressLimits.connections,
      nameservers: options.nameservers,
      onError: options.onBackgroundError,
    });
    this.#disks = new DiskStore(join(options.dataDirectory, 'disks'));
    this.#snapshots = new SnapshotStore(join(options.dataDirectory, 'snapshots'));
    this.#slots = new ReadyPool<Slot>({
      size: options.ready,
      make: () => this.#makeSlot(),
      destroy: (slot) => this.#removeSlot(slot.index),
      onError: (error) => options.onBackgroundError('slot not made', error),
    });
    this.#readyDisks = new ReadyPool<SandboxDisk>({
      size: options.ready,
      make: () => this.#disks.create(options.limits.diskSizeMB),
      destroy: (disk) => this.#disks.remove(disk.name),
      onError: (error) => options.onBackgroundError('disk not made', error),
    });
    this.#preparations = new Preparations<Place>({
      destroy: ({ placement }) => this.remove(placement),
      onError: (error) => options.onBackgroundError('no container prepared', error),
    });
    this.#warm = new WarmPool<Placement>({
      bounds: options.warm,
      make: () => this.#makeWarm(),
      destroy: (placement) => this.remove(placement),
      isUsable: ({ container }) => this.#isAlive(container),
      onError: (error) => options.onBackgroundError('no sandbox started ahead of time', error),
    });
  }

  static async open(options: HostOptions): Promise<Host> {
    const place = {
      stateDirectory: join(RUN_DIRECTORY, options.instance, options.runtime),
      cgroupParent: `/sandport/${options.instance}`,
      maxOpenFiles: await maxOpenFiles(),
    };
    const runtime = options.runtime === 'runsc' ? await createRunsc(place) : new Runc(place);
    const block = await takeAddressBlock(join(RUN_DIRECTORY, 'blocks'), options.dataDirectory);
    return new Host(options, runtime, block);
  }

  /** Whether a sandbox's processes survive a pause, and can be forked. */
  get keepsMemory(): boolean {
    return this.#runtime.checkpoints !== undefined;
  }

  /**
   * Brings the machine in line with the records: what runs and is owned stays, all else that bears this instance's
   * name is removed. Returns the names of the containers that still run. To be called once, before anything is started.
   */
  async reconcile(owned: {
    readonly placements: readonly (Placement & { readonly egress: EgressPolicy })[];
    readonly snapshots: ReadonlySet<string>;
  }): Promise<Set<string>> {
    const alive = new Set<string>();
    const containers = new Set(owned.placements.map(({ container }) => container));
    await this.#runtime.endOrphans();
    const ending: Promise<void>[] = [];
    for (const container of await this.#runtime.list()) {
      const identity = container.running ? identify(container.pid) : undefined;
      if (containers.has(container.id) && identity !== undefined) {
        alive.add(container.id);
        this.#processes.set(container.id, identity);
      } else {
        ending.push(this.#removeContainer(container.id));
      }
    }
    await Promise.all(ending);
    // A start that was interrupted has a bundle and perhaps a mount of its disk, and no container yet.
    for (const id of await readdir(this.#bundlesDirectory()).catch(() => [])) {
      if (!alive.has(id)) await this.#removeContainer(id);
    }
    const kept = owned.placements.filter(({ container }) => alive.has(container));
    const usedSlots = new Set(kept.map(({ slot }) => slot));
    const usedDisks = new Set(kept.map(({ disk }) => disk));
    for (const index of await listSlots(this.#names)) if (!usedSlots.has(index)) await removeSlot(this.#names, index);
    for (const name of await this.#disks.list()) if (!usedDisks.has(name)) await this.#disks.remove(name);
    await this.#snapshots.keepOnly(owned.snapshots);
    for (let index = 0; index < SLOTS_PER_BLOCK; index++) if (!usedSlots.has(index)) this.#freeIndices.push(index);
    // A pause that was interrupted has cut its slot.
    for (const { slot, address } of kept) await mendSlot(this.#names, { index: slot, address });
    await this.#egress.install(kept.map(({ slot, address, egress }) => ({ index: slot, address, egress })));
    this.#slots.fill();
    this.#readyDisks.fill();
    this.#warm.adjust();
    return alive;
  }

  /**
   * Hands over a sandbox that was started ahead of time. Undefined when there is none, or when it failed: it is then
   * gone, and one that is started now takes its place.
   */
  async startWarm(
    source: StartSource,
    identity: Identity,
    placed: (placement: Placement) => void,
  ): Promise<Placement | undefined> {
    if (source.kind !== 'template' || source.template.id !== this.#options.warm.template.id) return undefined;
    using _hold = this.#warm.hold();
    const placement = await this.#warm.take();
    if (placement === undefined) return undefined;
    try {
      placed(placement);
      await this.handOver(placement, identity);
      return placement;
    } catch (error) {
      this.#options.onBackgroundError('a sandbox started ahead of time was of no use', error);
      await this.remove(placement);
      return undefined;
    }
  }

  /** Starts a sandbox and returns when it has been handed over. Leaves nothing behind when it fails. */
  async start(source: StartSource, identity: Identity, placed: (placement: Placement) => void): Promise<Placement> {
    using _hold = this.#warm.hold();
    const origin = await this.#origin(source);
    // What is to be forgotten runs on for a moment, and reaches nobody.
    const egress = origin.restart ? CLOSED : identity.egress;
    const prepared = source.kind === 'snapshot' ? await this.#preparations.take(source.id) : undefined;
    const placement = await this.#startContainer(origin, egress, placed, prepared);
    try {
      if (origin.restart) await this.#restart(placement, identity);
      else await this.#identify(placement, identity);
    } catch (error) {
      await this.remove(placement);
      throw error;
    }
    return placement;
  }

  async #makeWarm(): Promise<Placement> {
    const { template } = this.#options.warm;
    // With the rules that most sandboxes have: nothing runs in it that could make use of them before it is handed over.
    const origin = await this.#origin({ kind: 'template', template });
    const placement = await this.#startContainer(origin, OPEN, () => {});
    try {
      await untilAgentListens(this.#agentOf(placement), AGENT_START_MS);
      await rehearse(this.#agentOf(placement));
      return placement;
    } catch (error) {
      await this.remove(placement);
      throw error;
    }
  }

  /**
   * Starts a container that is nobody's yet: its agent waits for an identity. Leaves nothing behind when it fails.
   *
   * @param egress in force before anything runs: the processes of a snapshot go on at once
   * @param placed is told the place before anything is started in it
   */
  async #startContainer(
    { basis, memory, disk: saved }: Origin,
    egress: EgressPolicy,
    placed: (placement: Placement) => void,
    prepared?: Place,
  ): Promise<Placement> {
    const { placement, spec } = prepared ?? (await this.#makePlace(basis, saved));
    await using cleanup = new AsyncDisposableStack();
    cleanup.defer(() => this.remove(placement));
    placed(placement);
    await mkdir(spec.bundle, { recursive: true, mode: 0o711 });
    await this.#egress.set(placement.address, egress);
    const identity = await (memory === undefined
      ? this.#runtime.run(spec)
      : this.#runtime.checkpoints!.restore(spec, memory.directory, {
          prepared: prepared !== undefined,
          durable: memory.durable,
        }));
    this.#processes.set(placement.container, identity);
    cleanup.move();
    return placement;
  }

  /** A container in which nothing runs yet. Leaves nothing behind when it fails. */
  async #prepare(basis: ContainerBasis): Promise<Place> {
    const place = await this.#makePlace(basis, undefined);
    try {
      await mkdir(place.spec.bundle, { recursive: true, mode: 0o711 });
      await this.#runtime.checkpoints!.prepare(place.spec);
      return place;
    } catch (error) {
      await this.remove(place.placement);
      throw error;
    }
  }

  /** Slot and disk of a container that is yet to be made. */
  async #makePlace(basis: ContainerBasis, saved: string | undefined): Promise<Place> {
    await using cleanup = new AsyncDisposableStack();
    const [slotResult, diskResult] = await Promise.allSettled([this.#slots.take(), this.#takeDisk(basis, saved)]);
    if (slotResult.status === 'fulfilled') cleanup.defer(() => this.#removeSlot(slotResult.value.index));
    if (diskResult.status === 'fulfilled') cleanup.defer(() => this.#disks.remove(diskResult.value.name));
    if (slotResult.status === 'rejected') throw slotResult.reason;
    if (diskResult.status === 'rejected') throw diskResult.reason;
    const slot = slotResult.value;
    const disk = diskResult.value;
    const container = newContainerName();
    cleanup.move();
    const placement: Placement = { container, slot: slot.index, disk: disk.name, address: slot.address, basis };
    const spec: ContainerSpec = {
      id: container,
      bundle: this.#bundle(container),
      networkNamespace: slot.namespacePath,
      writable: disk.directory,
      hostname: SANDBOX_HOSTNAME,
      ...basis,
    };
    return { placement, spec };
  }

  /** Makes a started container a sandbox: network policy, names, tokens, environment, time. */
  async handOver(placement: Placement, identity: Identity): Promise<void> {
    // At once: nothing of the sandbox's owner runs in it before both are done. Both have ended when this fails.
    const done = await Promise.allSettled([
      this.#egress.set(placement.address, identity.egress),
      this.#identify(placement, identity),
    ]);
    for (const one of done) if (one.status === 'rejected') throw one.reason;
  }

  async #restart(placement: Placement, identity: Identity): Promise<void> {
    await this.#identify(placement, { ...identity, init: { ...identity.init, restart: true } });
    await this.#egress.set(placement.address, identity.egress);
  }

  async #identify(placement: Placement, { init, previousControlToken }: Identity): Promise<void> {
    await initialiseAgent(this.#agentOf(placement), init, AGENT_START_MS, previousControlToken);
  }

  #agentOf({ address, container }: Placement): AgentPlace {
    return { address, isAlive: () => this.#isAlive(container) };
  }

  #isAlive(container: string): boolean {
    const identity = this.#processes.get(container);
    return identity !== undefined && isRunning(identity);
  }

  /** Ends every process of a sandbox and removes all that it had. Can be repeated. */
  async remove(placement: Placement): Promise<void> {
    await this.#removeContainer(placement.container);
    await Promise.all([this.#removeSlot(placement.slot), this.#disks.remove(placement.disk)]);
  }

  /**
   * Writes down a sandbox that runs on. Its TCP connections are reset. The snapshot is durable when this returns; when
   * it throws there is none. Throws `not_supported` where the runtime cannot.
   *
   * @param durable false for one that is read at once and need not survive a crash of the machine: a container for
   * the first who reads it is made meanwhile
   */
  async snapshot(placement: Placement, id: string, durable = true): Promise<void> {
    if (!durable && this.keepsMemory) this.#preparations.begin(id, () => this.#prepare(placement.basis));
    try {
      await this.#saveMemory(placement, id, {}, durable);
    } catch (error) {
      await this.#preparations.end(id);
      throw error;
    }
  }

  async #saveMemory(
    placement: Placement,
    id: string,
    more: Pick<SnapshotManifest, 'restart'>,
    durable: boolean,
  ): Promise<void> {
    const { checkpoints } = this.#runtime;
    if (checkpoints === undefined) {
      throw new SandportError(
        'not_supported',
        `${this.#runtime.name} cannot keep the memory of a sandbox: start Sandport with --runtime runsc`,
      );
    }
    const { name: runtime } = this.#runtime;
    const manifest: SnapshotManifest = { runtime, kind: 'memory', durable, ...more, ...placement.basis };
    const write = (directory: string) => checkpoints.save(placement.container, directory, durable);
    await this.#snapshots.create(id, manifest, write, durable);
  }

  /**
   * Writes down a sandbox that is to end. When it throws there is no snapshot and the sandbox runs on; when it returns
   * the snapshot is durable, and the place is to be removed with `removePaused`.
   */
  async pause(placement: Placement, id: string, keepMemory: boolean): Promise<void> {
    if (!this.keepsMemory && !keepMemory) return this.#saveDisk(placement, id);
    // What it does between the checkpoint and its end is not in the snapshot, so nobody may see it.
    await cutSlot(this.#names, placement.slot);
    try {
      // A runtime that keeps memory keeps files in it: without the one there are not the others.
      await this.#saveMemory(placement, id, keepMemory ? {} : { restart: true }, true);
    } catch (error) {
      await mendSlot(this.#names, { index: placement.slot, address: placement.address });
      throw error;
    }
  }

  /** The disk gets a second name, and is what it will be when its processes have ended and it is unmounted. */
  async #saveDisk({ basis, disk }: Placement, id: string): Promise<void> {
    const manifest: SnapshotManifest = { runtime: this.#runtime.name, kind: 'disk', ...basis };
    await this.#snapshots.create(id, manifest, (directory) => this.#disks.save(disk, join(directory, DISK_FILE)));
  }

  /** Removes the place of a sandbox that has been paused. Can be repeated. */
  async removePaused(placement: Placement): Promise<void> {
    await this.#removeContainer(placement.container);
    // The disk may be in the snapshot: another may have it only when this one has let go of it.
    await this.#disks.unmount(placement.disk);
    await this.remove(placement);
  }

  hasSnapshot(id: string): boolean {
    return this.#snapshots.has(id);
  }

  /** Whether processes do not go on when a sandbox is started from it. */
  forgetsMemory(id: string): boolean {
    return this.#snapshots.forgetsMemory(id);
  }

  async removeSnapshot(id: string): Promise<void> {
    await Promise.all([this.#snapshots.remove(id), this.#preparations.end(id)]);
  }

  /** Throws `snapshot_unusable`. */
  async #origin(source: StartSource): Promise<Origin> {
    const { agentDirectory, limits } = this.#options;
    if (source.kind === 'template') return { basis: { image: source.template.image, agentDirectory, limits } };
    const manifest = await this.#snapshots.manifest(source.id);
    if (manifest.runtime !== this.#runtime.name) {
      throw new SandportError(
        'snapshot_unusable',
        `the snapshot was made with ${manifest.runtime}, and this server runs ${this.#runtime.name}`,
      );
    }
    const content = this.#snapshots.contentOf(source.id);
    const { image } = manifest;
    // The agent in memory goes on, and has its files mapped; one that starts anew is the newest.
    if (manifest.kind === 'disk') {
      return { basis: { image, agentDirectory, limits: manifest.limits }, disk: join(content, DISK_FILE) };
    }
    const restart = manifest.restart === true || source.restart === true;
    const basis = { image, agentDirectory: manifest.agentDirectory, limits: manifest.limits };
    return { basis, memory: { directory: content, durable: manifest.durable !== false }, restart };
  }

  #takeDisk({ limits }: ContainerBasis, saved: string | undefined): Promise<SandboxDisk> {
    if (saved !== undefined) return this.#disks.open(saved);
    const { diskSizeMB } = limits;
    return diskSizeMB === this.#options.limits.diskSizeMB ? this.#readyDisks.take() : this.#disks.create(diskSizeMB);
  }

  /** Tells the agent of a sandbox that runs what has changed. */
  async updateAgent(placement: Placement, init: AgentInit): Promise<void> {
    await initialiseAgent(this.#agentOf(placement), init, AGENT_START_MS);
  }

  /** What sandboxes sent, received and were denied, in the order of the placements. */
  traffic(placements: readonly Placement[]): Promise<EgressTraffic[]> {
    return this.#egress.traffic(placements.map(({ slot, address }) => ({ index: slot, address })));
  }

  networkReport({ slot, address }: Placement): Promise<EgressReport> {
    return this.#egress.report({ index: slot, address });
  }

  /** Whether a sandbox could reach the host, if its rules let it. */
  canReach(host: string): Promise<boolean> {
    return this.#egress.canReach(host);
  }

  async setEgress(placement: Placement, egress: EgressPolicy): Promise<void> {
    await this.#egress.set(placement.address, egress);
  }

  /** What the agent of a sandbox has to say. Rejects when it does not answer. */
  agentLog({ address }: Placement, controlToken: string): Promise<LogEntry[]> {
    return readAgentLog(address, controlToken);
  }

  /** What a sandbox uses. Throws an Error with the system's code when it has ended. */
  usage({ container, disk }: Placement): Promise<Usage> {
    return readUsage(`/sandport/${this.#options.instance}/${container}`, this.#disks.directoryOf(disk));
  }

  /** Throws `capacity_exhausted` when the machine has no room for one more sandbox. */
  assertCapacity(): void {
    assertMemory();
    assertDisk(this.#options.dataDirectory);
  }

  /** Throws `capacity_exhausted` when the disk has no room for a snapshot of a sandbox that runs. */
  async assertRoomFor(placement: Placement): Promise<void> {
    const { memoryBytes, diskBytes } = await this.usage(placement).catch(() => ({ memoryBytes: 0, diskBytes: 0 }));
    assertDisk(this.#options.dataDirectory, this.keepsMemory ? memoryBytes + diskBytes : 0);
  }

  /** Whether the kernel has ended processes of a sandbox because it was at its memory limit. */
  async ranOutOfMemory({ container }: Placement): Promise<boolean> {
    return (await readOutOfMemory(`/sandport/${this.#options.instance}/${container}`)) > 0;
  }

  /** Takes back what an idle sandbox costs. To be called about once a second. */
  calmIdle(): void {
    // Only gVisor's kernel is busy when its sandbox is not.
    if (this.#runtime.name === 'runsc') this.#idleSlack.observe(this.#processes.values());
  }

  /** Those of the started containers whose processes have ended by themselves. */
  findEnded(containers: Iterable<string>): string[] {
    return [...containers].filter((container) => !this.#isAlive(container));
  }

  /** Ends what is made ahead of time and, when no sandbox is left, everything else of this instance. */
  async close(options: { sandboxesLeft: boolean }): Promise<void> {
    await Promise.all([this.#warm.close(), this.#preparations.close()]);
    await Promise.all([this.#slots.close(), this.#readyDisks.close()]);
    await this.#egress.close(options);
    if (options.sandboxesLeft) return;
    await removeCgroups(`/sandport/${this.#options.instance}`);
    await rm(join(RUN_DIRECTORY, this.#options.instance), { recursive: true, force: true });
    await this.#block.release();
  }

  /** A name may still be held by what a crashed process began and that has just ended: another one is free. */
  async #makeSlot(attempts = 3): Promise<Slot> {
    const index = this.#freeIndices.shift();
    if (index === undefined) throw new Error(`all ${SLOTS_PER_BLOCK} slots are in use`);
    try {
      const [slot] = await createSlots(this.#names, [{ index, address: this.#block.addressOf(index) }]);
      if (this.#runtime.name === 'runc') await relaxSlot(slot!);
      const { bandwidthMbit } = this.#options.egressLimits;
      if (bandwidthMbit !== undefined) await shapeSlot(this.#names, slot!, bandwidthMbit);
      await this.#egress.addSlots([slot!]);
      return slot!;
    } catch (error) {
      await this.#removeSlot(index);
      if (attempts === 1) throw error;
      return this.#makeSlot(attempts - 1);
    }
  }

  async #removeSlot(index: number): Promise<void> {
    await this.#egress.removeSlot({ index, address: this.#block.addressOf(index) });
    await removeSlot(this.#names, index);
    // To the end of the queue: an address rests as long as it can before another sandbox has it.
    if (!this.#freeIndices.includes(index)) this.#freeIndices.push(index);
  }

  async #removeContainer(id: string): Promise<void> {
    const bundle = this.#bundle(id);
    await this.#runtime.remove(id, bundle);
    this.#processes.delete(id);
    await rm(bundle, { recursive: true, force: true });
  }

  #bundlesDirectory(): string {
    return join(this.#options.dataDirectory, 'bundles');
  }

  #bundle(id: string): string {
    return join(this.#bundlesDirectory(), id);
  }
}

/** Names of containers are nobody's: which sandbox one becomes may be decided after it was started. */
function newContainerName(): string {
  return `c${randomBytes(10).toString('hex')}`;
}

/** The hard limit that this process may hand on: more makes a runtime fail where root is not all-powerful. */
async function maxOpenFiles(): Promise<number> {
  const limits = await readFile('/proc/self/limits', 'utf8');
  const hard = /^Max open files\s+\S+\s+(\S+)/m.exec(limits)?.[1];
  return hard === undefined || hard === 'unlimited' ? 1_048_576 : Number(hard);
}
