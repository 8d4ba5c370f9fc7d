// This machine: starts a sandbox from what is ready, ends it, and knows after a restart what still runs.
import { mkdir, readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { AgentInit } from '@sandport/protocol/agent-init';
import { identify, isRunning, type ProcessIdentity } from '../process-identity.ts';
import { initialiseAgent } from './agent-client.ts';
import { removeCgroups } from './cgroups.ts';
import { DiskStore, type SandboxDisk } from './disk/sandbox-disk.ts';
import type { Template } from './image/installation.ts';
import { type AddressBlock, SLOTS_PER_BLOCK, takeAddressBlock } from './network/address-block.ts';
import type { EgressPolicy } from './network/egress-policy.ts';
import { Firewall } from './network/firewall.ts';
import { createSlots, listSlots, relaxSlot, removeSlot, type Slot, type SlotNames, slotNames } from './network/slot.ts';
import { ReadyPool } from './ready-pool.ts';
import { IdleSlack } from './runtime/idle-slack.ts';
import { Runc } from './runtime/runc.ts';
import { createRunsc } from './runtime/runsc.ts';
import type { ResourceLimits, Runtime, RuntimeName } from './runtime/runtime.ts';

export interface HostOptions {
  /** Short name of this instance, a-z0-9, at most 6 characters. */
  readonly instance: string;
  readonly dataDirectory: string;
  readonly runtime: RuntimeName;
  readonly agentDirectory: string;
  readonly limits: ResourceLimits;
  /** Slots and disks kept ready. */
  readonly ready: number;
  /** Private ranges that sandboxes may reach all the same. */
  readonly permittedRanges: readonly string[];
  /** Port of Sandport's own resolver on this machine. */
  readonly dnsPort: number;
  readonly onBackgroundError: (event: string, error: unknown) => void;
}

export interface StartRequest {
  readonly sandboxId: string;
  readonly template: Template;
  readonly egress: EgressPolicy;
  readonly init: AgentInit;
}

/** What the core keeps of a started sandbox, enough to find it again after a restart. */
export interface Placement {
  readonly slot: number;
  readonly disk: string;
  readonly address: string;
}

const AGENT_START_MS = 30_000;
const RUN_DIRECTORY = '/run/sandport';

export class Host {
  readonly #options: HostOptions;
  readonly #runtime: Runtime;
  readonly #block: AddressBlock;
  readonly #names: SlotNames;
  readonly #firewall: Firewall;
  readonly #disks: DiskStore;
  readonly #slots: ReadyPool<Slot>;
  readonly #readyDisks: ReadyPool<SandboxDisk>;
  readonly #freeIndices: number[] = [];
  readonly #processes = new Map<string, ProcessIdentity>();
  readonly #idleSlack = new IdleSlack();

  private constructor(options: HostOptions, runtime: Runtime, block: AddressBlock) {
    this.#options = options;
    this.#runtime = runtime;
    this.#block = block;
    this.#names = slotNames(options.instance);
    this.#firewall = new Firewall({
      table: `sandport_${options.instance}`,
      interfacePrefix: this.#names.interfacePrefix,
      blockCidr: block.cidr,
      permitted: options.permittedRanges,
    });
    this.#disks = new DiskStore(join(options.dataDirectory, 'disks'));
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

  /**
   * Brings the machine in line with the records: what runs and is owned stays, all else that bears this instance's
   * name is removed. Returns the IDs that still run. To be called once, before anything is started.
   */
  async reconcile(owned: ReadonlyMap<string, Placement & { readonly egress: EgressPolicy }>): Promise<Set<string>> {
    const alive = new Set<string>();
    await this.#runtime.endOrphanedStarts();
    for (const container of await this.#runtime.list()) {
      const identity = container.running ? identify(container.pid) : undefined;
      if (owned.has(container.id) && identity !== undefined) {
        alive.add(container.id);
        this.#processes.set(container.id, identity);
      } else {
        await this.#removeContainer(container.id);
      }
    }
    // A start that was interrupted has a bundle and perhaps a mount of its disk, and no container yet.
    for (const id of await readdir(this.#bundlesDirectory()).catch(() => [])) {
      if (!alive.has(id)) await this.#removeContainer(id);
    }
    const kept = [...owned].filter(([id]) => alive.has(id)).map(([, placement]) => placement);
    const usedSlots = new Set(kept.map(({ slot }) => slot));
    const usedDisks = new Set(kept.map(({ disk }) => disk));
    for (const index of await listSlots(this.#names)) if (!usedSlots.has(index)) await removeSlot(this.#names, index);
    for (const name of await this.#disks.list()) if (!usedDisks.has(name)) await this.#disks.remove(name);
    for (let index = 0; index < SLOTS_PER_BLOCK; index++) if (!usedSlots.has(index)) this.#freeIndices.push(index);
    await this.#firewall.install(
      kept.map(({ slot, address, egress }) => ({ index: slot, address, egress })),
      this.#options.dnsPort,
    );
    this.#slots.fill();
    this.#readyDisks.fill();
    return alive;
  }

  /** Starts a sandbox and returns when its agent has been initialised. Leaves nothing behind when it fails. */
  async start(request: StartRequest, placed: (placement: Placement) => void): Promise<Placement> {
    await using cleanup = new AsyncDisposableStack();
    const [slotResult, diskResult] = await Promise.allSettled([this.#slots.take(), this.#readyDisks.take()]);
    if (slotResult.status === 'fulfilled') cleanup.defer(() => this.#removeSlot(slotResult.value.index));
    if (diskResult.status === 'fulfilled') cleanup.defer(() => this.#disks.remove(diskResult.value.name));
    if (slotResult.status === 'rejected') throw slotResult.reason;
    if (diskResult.status === 'rejected') throw diskResult.reason;
    const slot = slotResult.value;
    const disk = diskResult.value;
    const placement: Placement = { slot: slot.index, disk: disk.name, address: slot.address };
    placed(placement);
    const bundle = this.#bundle(request.sandboxId);
    await mkdir(bundle, { recursive: true, mode: 0o711 });
    cleanup.defer(() => this.#removeContainer(request.sandboxId));
    await this.#firewall.setEgress(slot.address, request.egress);
    await this.#runtime.run({
      id: request.sandboxId,
      bundle,
      networkNamespace: slot.namespacePath,
      image: request.template.image,
      writable: disk.directory,
      agentDirectory: this.#options.agentDirectory,
      hostname: request.init.hostname,
      limits: this.#options.limits,
    });
    await initialiseAgent(slot.address, request.init, AGENT_START_MS);
    cleanup.move();
    return placement;
  }

  /** Ends every process of a sandbox and removes all that it had. Can be repeated. */
  async remove(sandboxId: string, placement: Placement | undefined): Promise<void> {
    await this.#removeContainer(sandboxId);
    if (placement === undefined) return;
    await Promise.all([this.#removeSlot(placement.slot), this.#disks.remove(placement.disk)]);
  }

  async setEgress(placement: Placement, egress: EgressPolicy): Promise<void> {
    await this.#firewall.setEgress(placement.address, egress);
  }

  /** Takes back what an idle sandbox costs. To be called about once a second. */
  calmIdle(): void {
    // Only gVisor's kernel is busy when its sandbox is not.
    if (this.#runtime.name === 'runsc') this.#idleSlack.observe(this.#processes.values());
  }

  /** IDs of started sandboxes whose processes have ended by themselves. */
  async findEnded(ids: Iterable<string>): Promise<string[]> {
    const all = [...ids];
    if (all.some((id) => !this.#processes.has(id))) {
      for (const { id, pid, running } of await this.#runtime.list()) {
        const identity = running ? identify(pid) : undefined;
        if (identity !== undefined) this.#processes.set(id, identity);
      }
    }
    return all.filter((id) => {
      const identity = this.#processes.get(id);
      return identity === undefined || !isRunning(identity);
    });
  }

  /** Ends what is made ahead of time and, when no sandbox is left, everything else of this instance. */
  async close(options: { sandboxesLeft: boolean }): Promise<void> {
    await Promise.all([this.#slots.close(), this.#readyDisks.close()]);
    if (options.sandboxesLeft) return;
    await this.#firewall.remove();
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
      await this.#firewall.addSlots([slot!]);
      return slot!;
    } catch (error) {
      await this.#removeSlot(index);
      if (attempts === 1) throw error;
      return this.#makeSlot(attempts - 1);
    }
  }

  async #removeSlot(index: number): Promise<void> {
    await this.#firewall.removeSlot({ index, address: this.#block.addressOf(index) });
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

/** The hard limit that this process may hand on: more makes a runtime fail where root is not all-powerful. */
async function maxOpenFiles(): Promise<number> {
  const limits = await readFile('/proc/self/limits', 'utf8');
  const hard = /^Max open files\s+\S+\s+(\S+)/m.exec(limits)?.[1];
  return hard === undefined || hard === 'unlimited' ? 1_048_576 : Number(hard);
}
