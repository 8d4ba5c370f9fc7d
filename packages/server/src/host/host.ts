// This machine: starts a sandbox from what is ready, ends it, and knows after a restart what still runs.

import { randomBytes } from 'node:crypto';
import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { AgentInit } from '@sandport/protocol/agent-init';
import type { LogEntry } from '@sandport/protocol/agent-log';
import type { EgressTraffic } from '../egress/messages.ts';
import { type AgentPlace, initialiseAgent, rehearse, untilAgentListens } from './agent-client.ts';
import { readAgentLog } from './agent-log.ts';
import { Capacity } from './capacity.ts';
import { removeCgroups } from './cgroups.ts';
import { Containers } from './containers.ts';
import { DiskStore } from './disk/sandbox-disk.ts';
import type { Template } from './image/installation.ts';
import { MemoryKills } from './memory-kills.ts';
import { type AddressBlock, takeAddressBlock } from './network/address-block.ts';
import { Egress, type EgressReport } from './network/egress.ts';
import { type EgressPolicy, EVERYTHING, OPEN } from './network/egress-policy.ts';
import { NEIGHBOUR_ADDRESS, slotNames } from './network/slot.ts';
import { Slots } from './network/slots.ts';
import { type Identity, type Origin, type Placement, SANDBOX_HOSTNAME, type StartSource } from './placement.ts';
import { RUN_DIRECTORY } from './run-directory.ts';
import { IdleSlack } from './runtime/idle-slack.ts';
import { Runc } from './runtime/runc.ts';
import { createRunsc } from './runtime/runsc.ts';
import type { ResourceLimits, Runtime, RuntimeName } from './runtime/runtime.ts';
import { SavedSandboxes, type WriteLastOptions, type WriteOptions } from './saved-sandboxes.ts';
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
  /** Directory for what Node compiles of the egress process. Default: none. */
  readonly compileCache?: string;
  readonly onBackgroundError: (event: string, error: unknown) => void;
}

/** Started ahead of time, and nobody's yet. */
interface WarmSandbox {
  readonly placement: Placement;
  /** What its agent knows the host by until it is handed over. */
  readonly controlToken: string;
}

const AGENT_START_MS = 30_000;
const CLOSED: EgressPolicy = { ...OPEN, deny: [EVERYTHING] };

export class Host {
  readonly #options: HostOptions;
  readonly #runtime: Runtime;
  readonly #block: AddressBlock;
  readonly #egress: Egress;
  readonly #slots: Slots;
  readonly #disks: DiskStore;
  readonly #containers: Containers;
  readonly #saved: SavedSandboxes;
  readonly #warm: WarmPool<WarmSandbox>;
  readonly #capacity: Capacity;
  readonly #idleSlack = new IdleSlack();
  readonly #memoryKills: MemoryKills;

  private constructor(options: HostOptions, runtime: Runtime, block: AddressBlock) {
    const { dataDirectory, ready, limits, egressLimits, onBackgroundError } = options;
    const names = slotNames(options.instance);
    this.#options = options;
    this.#runtime = runtime;
    this.#block = block;
    this.#memoryKills = new MemoryKills((container) => readOutOfMemory(`/sandport/${options.instance}/${container}`));
    this.#capacity = new Capacity({ directory: dataDirectory });
    this.#egress = new Egress({
      dataDirectory,
      table: `sandport_${options.instance}`,
      interfacePrefix: names.interfacePrefix,
      blockCidr: block.cidr,
      permitted: options.permittedRanges,
      maxConnections: egressLimits.connections,
      nameservers: options.nameservers,
      compileCache: options.compileCache,
      onError: onBackgroundError,
    });
    this.#slots = new Slots({
      names,
      block,
      egress: this.#egress,
      ready,
      relaxed: runtime.name === 'runc',
      bandwidthMbit: egressLimits.bandwidthMbit,
      onError: onBackgroundError,
    });
    this.#disks = new DiskStore(join(dataDirectory, 'disks'));
    this.#containers = new Containers({
      runtime,
      slots: this.#slots,
      egress: this.#egress,
      disks: this.#disks,
      diskSizeMB: limits.diskSizeMB,
      ready,
      directory: join(dataDirectory, 'bundles'),
      onError: onBackgroundError,
    });
    this.#saved = new SavedSandboxes({
      runtime,
      slots: this.#slots,
      disks: this.#disks,
      containers: this.#containers,
      directory: join(dataDirectory, 'snapshots'),
      basis: { image: options.warm.template.image, agentDirectory: options.agentDirectory, limits },
      mostPrepared: options.warm.most,
      reserveAhead: () => this.#capacity.reserveAhead(),
      onPrepareError: (error) => onBackgroundError('no container prepared', error),
    });
    this.#warm = new WarmPool<WarmSandbox>({
      bounds: options.warm,
      make: () => this.#makeWarm(),
      destroy: ({ placement }) => this.remove(placement),
      isUsable: ({ placement }) => this.#containers.isAlive(placement.container),
      onError: (error) => onBackgroundError('no sandbox started ahead of time', error),
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
    const { placements, snapshots } = owned;
    const alive = await this.#containers.adopt(new Set(placements.map(({ container }) => container)));
    const kept = placements.filter(({ container }) => alive.has(container));
    const slots = kept.map(({ slot, address, egress, container }) => ({
      ...{ index: slot, address, egress },
      owner: container,
    }));
    await this.#slots.keepOnly(slots);
    await this.#containers.keepOnlyDisks(new Set(kept.map(({ disk }) => disk)));
    await this.#saved.keepOnly(snapshots);
    await this.#egress.install(slots);
    this.#slots.fill();
    this.#containers.fill();
    this.#warm.adjust();
    this.#saved.prepare();
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
    using _hold = this.#hold();
    const taken = await this.#warm.take();
    if (taken === undefined) return undefined;
    const { placement, controlToken } = taken;
    try {
      placed(placement);
      this.rouse(placement);
      await this.#handOver(placement, { ...identity, previousControlToken: controlToken });
      return placement;
    } catch (error) {
      this.#options.onBackgroundError('a sandbox started ahead of time was of no use', error);
      await this.remove(placement);
      return undefined;
    }
  }

  /**
   * Starts a sandbox and returns when it has been handed over. Leaves nothing behind when it fails. Throws
   * `capacity_exhausted` before anything is begun, and `snapshot_unusable`.
   */
  async start(source: StartSource, identity: Identity, placed: (placement: Placement) => void): Promise<Placement> {
    using _hold = this.#hold();
    const origin = await this.#origin(source);
    const kept = source.kind === 'snapshot' && origin.memory !== undefined ? await this.#saved.size(source.id) : 0;
    this.#capacity.assertDisk(kept);
    // What it wrote is in there too, and comes back to its disk.
    using _room = this.#capacity.reserve(Math.min(kept, origin.basis.limits.memoryMB * 1024 * 1024));
    // What is to be forgotten runs on for a moment, and reaches nobody.
    const egress = origin.restart ? CLOSED : identity.egress;
    const placement =
      (source.kind === 'snapshot' && (await this.#startPrepared(source.id, origin, egress, placed))) ||
      (await this.#containers.start(origin, egress, placed));
    try {
      if (origin.restart) await this.#restart(placement, identity);
      else await this.#identify(placement, identity);
    } catch (error) {
      await this.remove(placement);
      throw error;
    }
    return placement;
  }

  /** Undefined when no container is prepared, or when it failed: it is then gone, and one that is made now takes its place. */
  async #startPrepared(
    snapshot: string,
    origin: Origin,
    egress: EgressPolicy,
    placed: (placement: Placement) => void,
  ): Promise<Placement | undefined> {
    const prepared = await this.#saved.takePrepared(snapshot, origin);
    if (prepared === undefined) return undefined;
    try {
      this.rouse(prepared.placement);
      return await this.#containers.start(origin, egress, placed, prepared);
    } catch (error) {
      this.#options.onBackgroundError('a container prepared ahead of time was of no use', error);
      return undefined;
    }
  }

  /** Nothing is made ahead of time while somebody waits for a start. */
  #hold(): Disposable {
    const holds = new DisposableStack();
    holds.use(this.#warm.hold());
    holds.use(this.#saved.hold());
    return holds;
  }

  async #makeWarm(): Promise<WarmSandbox> {
    using _room = this.#capacity.reserveAhead();
    const { template } = this.#options.warm;
    // With the rules that most sandboxes have: nothing runs in it that could make use of them before it is handed over.
    const origin = await this.#origin({ kind: 'template', template });
    const placement = await this.#containers.start(origin, OPEN, () => {});
    try {
      const agent = this.#agentOf(placement);
      await untilAgentListens(agent, AGENT_START_MS);
      await rehearse(agent, template);
      const init = initOfNobody(template);
      await initialiseAgent(agent, init, AGENT_START_MS);
      return { placement, controlToken: init.controlToken };
    } catch (error) {
      await this.remove(placement);
      throw error;
    }
  }

  /** Makes a started container a sandbox: network policy, names, tokens, environment, time. */
  async #handOver(placement: Placement, identity: Identity): Promise<void> {
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
    return { address, isAlive: () => this.#containers.isAlive(container) };
  }

  /** Ends every process of a sandbox and removes all that it had. Can be repeated. */
  async remove(placement: Placement): Promise<void> {
    await this.#containers.remove(placement);
    this.#memoryKills.forget(placement.container);
  }

  /**
   * Writes down a sandbox that runs on. Its TCP connections are reset. The snapshot is durable when this returns; when
   * it throws there is none. Throws `not_supported` where the runtime cannot, and `StillConnecting`.
   */
  snapshot(placement: Placement, id: string, options: WriteOptions): Promise<void> {
    this.rouse(placement);
    return this.#saved.write(placement, id, options);
  }

  /**
   * Writes down a sandbox that is to end. When it throws there is no snapshot, and `mend` has the sandbox go on; when it
   * returns the snapshot is durable, and the place is to be removed with `removePaused`. Throws as `snapshot`.
   */
  pause(placement: Placement, id: string, options: WriteLastOptions): Promise<void> {
    this.rouse(placement);
    return this.#saved.writeLast(placement, id, options);
  }

  /** Has a sandbox go on that was to be paused and is not. Can be repeated. */
  mend(placement: Placement): Promise<void> {
    return this.#saved.goOn(placement);
  }

  /** Removes the place of a sandbox that has been paused. Can be repeated. */
  async removePaused(placement: Placement): Promise<void> {
    await this.#containers.removeSaved(placement);
    this.#memoryKills.forget(placement.container);
  }

  hasSnapshot(id: string): boolean {
    return this.#saved.has(id);
  }

  /** Whether processes do not go on when a sandbox is started from it. */
  forgetsMemory(id: string): boolean {
    return this.#saved.forgetsMemory(id);
  }

  removeSnapshot(id: string): Promise<void> {
    return this.#saved.remove(id);
  }

  /** Throws `snapshot_unusable`. */
  async #origin(source: StartSource): Promise<Origin> {
    if (source.kind === 'snapshot') return this.#saved.origin(source);
    const { agentDirectory, limits } = this.#options;
    return { basis: { image: source.template.image, agentDirectory, limits } };
  }

  /** Tells the agent of a sandbox that runs what has changed. Throws `agent_unreachable` after `timeoutMs`. */
  async updateAgent(placement: Placement, init: AgentInit, timeoutMs: number): Promise<void> {
    await initialiseAgent(this.#agentOf(placement), init, timeoutMs);
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

  /** Throws `capacity_exhausted` when the machine's disk has no room for one more sandbox. */
  assertDiskRoom(): void {
    this.#capacity.assertDisk();
  }

  /** Throws `capacity_exhausted` when the disk has no room for a snapshot of a sandbox that runs. */
  async assertRoomFor(placement: Placement): Promise<void> {
    const { memoryBytes, diskBytes } = await this.usage(placement).catch(() => ({ memoryBytes: 0, diskBytes: 0 }));
    this.#capacity.assertDisk(this.keepsMemory ? memoryBytes + diskBytes : 0);
  }

  /** Throws `capacity_exhausted` when the machine has no memory for one more with as much in it as a sandbox that runs. */
  async assertMemoryFor(placement: Placement): Promise<void> {
    const { memoryBytes } = await this.usage(placement).catch(() => ({ memoryBytes: 0 }));
    this.#capacity.assertMemory(Math.min(memoryBytes, placement.basis.limits.memoryMB * 1024 * 1024));
  }

  /** Whether a sandbox has ended because it was at its memory limit. */
  ranOutOfMemory({ container }: Placement): boolean {
    return this.#memoryKills.anyJustBefore(container);
  }

  /** Takes back what an idle sandbox costs. To be called about once a second. */
  calmIdle(): void {
    // Only gVisor's kernel is busy when its sandbox is not.
    if (this.#runtime.name === 'runsc') this.#idleSlack.observe(this.#containers.processes);
  }

  /** Ends the calm of a sandbox that is about to be asked for something. */
  rouse({ container }: Placement): void {
    const kernel = this.#containers.processOf(container);
    if (kernel !== undefined) this.#idleSlack.rouse(kernel);
  }

  /** Those of the started containers whose processes have ended by themselves. */
  findEnded(containers: Iterable<string>): string[] {
    const ended: string[] = [];
    for (const container of containers) {
      if (!this.#containers.isAlive(container)) ended.push(container);
      // Under runsc such an end is always the whole sandbox's, and the first one its last.
      else if (this.#runtime.name === 'runc') this.#memoryKills.look(container);
    }
    return ended;
  }

  /** Ends what is made ahead of time and, when no sandbox is left, everything else of this instance. */
  async close(options: { sandboxesLeft: boolean }): Promise<void> {
    await Promise.all([this.#warm.close(), this.#saved.close()]);
    await Promise.all([this.#slots.close(), this.#containers.close()]);
    await this.#egress.close(options);
    if (options.sandboxesLeft) return;
    await removeCgroups(`/sandport/${this.#options.instance}`);
    await rm(join(RUN_DIRECTORY, this.#options.instance), { recursive: true, force: true });
    await this.#block.release();
  }
}

/**
 * What the agent of one is told that is nobody's yet: being told once more takes it half of the time, as its files are
 * there and its code has run.
 */
function initOfNobody({ id, defaultUser, defaultWorkdir, env }: Template): AgentInit {
  return {
    controlToken: randomBytes(32).toString('hex'),
    sandboxId: 'nobody',
    templateId: id,
    envVars: env,
    defaultUser,
    defaultWorkdir,
    hostname: SANDBOX_HOSTNAME,
    nameservers: [NEIGHBOUR_ADDRESS],
    domain: 'localhost',
    now: Date.now(),
  };
}

/** The hard limit that this process may hand on: more makes a runtime fail where root is not all-powerful. */
async function maxOpenFiles(): Promise<number> {
  const limits = await readFile('/proc/self/limits', 'utf8');
  const hard = /^Max open files\s+\S+\s+(\S+)/m.exec(limits)?.[1];
  return hard === undefined || hard === 'unlimited' ? 1_048_576 : Number(hard);
}
