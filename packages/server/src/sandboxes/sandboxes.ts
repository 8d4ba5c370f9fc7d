// The core: creates sandboxes, keeps their records, ends them at their time, and picks up where a stopped Sandport left off.
import { randomUUID } from 'node:crypto';
import { SandportError } from '@sandport/protocol/errors';
import type { EgressTraffic } from '../egress/messages.ts';
import type { EventStore } from '../events/lifecycle-event.ts';
import type { Host } from '../host/host.ts';
import type { Template } from '../host/image/installation.ts';
import type { StartSource } from '../host/placement.ts';
import type { ResourceLimits } from '../host/runtime/runtime.ts';
import { Semaphore } from '../semaphore.ts';
import type { Core, RouteSink, SandboxEvents } from './core.ts';
import { EndTimers } from './end-timers.ts';
import { Ends } from './ends.ts';
import { Exclusive } from './exclusive.ts';
import { faultPoint } from './fault-point.ts';
import { type LifecycleRequest, lifecycleOf } from './lifecycle.ts';
import { END_REASONS, type EndReason, lifecycleEvent } from './lifecycle-events.ts';
import { egressPolicy, validateEgress, validateMask } from './network-policy.ts';
import { type NetworkReport, Networks } from './networks.ts';
import { Pausing } from './pausing.ts';
import { hasPrivatePorts } from './private-ports.ts';
import { RecordTable } from './record-table.ts';
import { newSandboxId } from './sandbox-id.ts';
import {
  type EgressSpec,
  isPaused,
  isRunning,
  type NetworkSpec,
  publicState,
  type RunningSandbox,
  type SandboxRecord,
  type SandboxSpec,
  type SandboxStore,
  type SnapshotRecord,
  type SnapshotRecordStore,
} from './sandbox-record.ts';
import { runningRoute } from './sandbox-route.ts';
import type { SandboxTokens } from './sandbox-tokens.ts';
import { MAX_URL_SECONDS, type SignedUrl, signUrl } from './signed-urls.ts';
import { newSnapshotId } from './snapshot-id.ts';
import { Snapshots } from './snapshots.ts';
import { type StartOptions, startSandbox } from './starting.ts';
import { DEFAULT_TAG, parseTemplateName } from './template-name.ts';
import { readBootId, WallClock } from './wall-clock.ts';

export interface SandboxesOptions {
  readonly store: SandboxStore;
  readonly snapshotStore: SnapshotRecordStore;
  readonly host: Host;
  readonly routes: RouteSink;
  readonly tokens: SandboxTokens;
  readonly templates: readonly Template[];
  readonly limits: ResourceLimits;
  /** Domain of the public URLs, with the gateway's port where it is not 443. */
  readonly domain: string;
  readonly nameservers: readonly string[];
  /** Sandboxes alive at once; one more is answered with `too_many_sandboxes`. */
  readonly maxSandboxes: number;
  /** Snapshots kept at once; one more is answered with `too_many_snapshots`. */
  readonly maxSnapshots: number;
  /** Sandboxes of one API key that run at once; undefined: any number. */
  readonly maxSandboxesOfKey: (apiKeyId: string) => number | undefined;
  /** Starts that go on at once, and the same of pauses; more wait for their turn. */
  readonly atOnce: number;
  readonly log: SandboxEvents;
  /** What happened so far. */
  readonly events: Pick<EventStore, 'list'>;
  /** Called when an event of a sandbox's life is durable. */
  readonly onEvent: () => void;
}

export interface CreateRequest {
  readonly template: string;
  readonly timeoutSeconds: number;
  readonly secure: boolean;
  readonly metadata: Readonly<Record<string, string>>;
  readonly envVars: Readonly<Record<string, string>>;
  readonly network: NetworkSpec;
  readonly lifecycle: LifecycleRequest;
  readonly apiKeyId: string;
}

/** One fork, or why there is none. */
export type Fork = { readonly sandbox: RunningSandbox } | { readonly error: SandportError };

export const MAX_LIFE_SECONDS = 24 * 3600;
export const MAX_FORKS = 100;
/** Most of a removal is waiting, for processes and for the kernel. */
const REMOVALS_AT_ONCE = 32;

export class Sandboxes {
  readonly #options: SandboxesOptions;
  readonly #core: Core;
  readonly #records: RecordTable;
  readonly #timers: EndTimers;
  readonly #exclusive = new Exclusive();
  readonly #pausing: Pausing;
  readonly #snapshots: Snapshots;
  readonly #ends: Ends;
  readonly #networks: Networks;
  readonly #clock: WallClock;
  readonly #now: () => number;
  readonly #bootId = readBootId();
  readonly #creations = new Set<Promise<unknown>>();
  #closing = false;
  /** Aborted when there is no time to try again what failed. */
  readonly #ending = new AbortController();

  constructor(options: SandboxesOptions) {
    this.#options = options;
    this.#clock = new WallClock({ onJump: (by, offset) => this.#onJump(by, offset) });
    this.#now = () => this.#clock.now();
    this.#records = new RecordTable(options.store, options.onEvent, (sandboxId, error) =>
      options.log.event('record not stored', { sandboxId, error }),
    );
    this.#timers = new EndTimers({ now: this.#now, onEnd: (id) => void this.#ends.onEndTime(id) });
    const { host, routes, tokens, log, onEvent, domain, nameservers } = options;
    this.#core = {
      ...{ host, routes, tokens, log, onEvent, domain, nameservers },
      records: this.#records,
      timers: this.#timers,
      starts: new Semaphore(options.atOnce),
      saves: new Semaphore(options.atOnce),
      removals: new Semaphore(REMOVALS_AT_ONCE),
      exclusive: this.#exclusive,
      now: this.#now,
      assertRoom: (apiKeyId) => this.#assertRoom(apiKeyId),
      assertOpen: () => this.#assertOpen(),
      isKept: (snapshotId) => this.#snapshots.isKept(snapshotId),
      ending: this.#ending.signal,
    };
    this.#pausing = new Pausing(this.#core);
    const templateNames = options.templates.flatMap(({ id, alias }) => [id, alias]);
    this.#snapshots = new Snapshots(this.#core, options.snapshotStore, options.maxSnapshots, templateNames);
    this.#ends = new Ends(this.#core, this.#pausing, MAX_LIFE_SECONDS * 1000);
    this.#networks = new Networks(this.#core);
  }

  /** Adopts what still runs, removes what nobody owns. To be called once, first. */
  async open(): Promise<void> {
    const { host, log, routes, tokens } = this.#options;
    const snapshots = this.#snapshots.load().map(({ id }) => id);
    const records = this.#records
      .load({ bootId: this.#bootId, ms: this.#clock.offset })
      .map((record) => this.#pausing.recover(record));
    const paused = records.filter(isPaused);
    const alive = await host.reconcile({
      placements: records.filter(isRunning).map((record) => ({
        ...record.placement,
        egress: egressPolicy(record.spec.network, tokens.egressAuthority(record.id)),
      })),
      snapshots: new Set([...snapshots, ...paused.map(({ snapshot }) => snapshot)]),
    });
    for (const record of records) {
      if (isRunning(record) && alive.has(record.placement.container)) {
        await routes.setRoute(runningRoute(record, tokens));
        this.#timers.set(record.id, record.endAt);
        log.event('sandbox adopted', { sandboxId: record.id });
      } else if (isPaused(record) && host.hasSnapshot(record.snapshot)) {
        await this.#pausing.route(record);
        log.event('paused sandbox adopted', { sandboxId: record.id });
      } else if (!(await this.#restore(record))) {
        const lost = record.state === 'running' || record.state === 'paused';
        this.#records.delete(record.id, lost ? this.#ends.killed(record, 'lost') : undefined);
        log.event('sandbox removed', { sandboxId: record.id, reason: lost ? 'lost' : record.state });
      }
    }
    this.#ends.watch();
  }

  /** What a sandbox has left is a time, and no hour of the day: its end moves with the wall clock. */
  #onJump(by: number, offset: number): void {
    const { log } = this.#options;
    try {
      this.#records.shiftTimes(by, { bootId: this.#bootId, ms: offset });
      log.event('the wall clock was set', { by });
    } catch (error) {
      log.event('end times not moved with the wall clock', { by, error });
      throw error;
    }
  }

  /** Has a sandbox that was lost with the machine go on from its newest snapshot, if it is to and has one. */
  async #restore(record: SandboxRecord): Promise<boolean> {
    const { host, log } = this.#options;
    const snapshot = this.#snapshots.latestOf(record.id);
    const isWanted = isRunning(record) && record.spec.lifecycle.restoreWhenLost === true;
    if (!isWanted || snapshot === undefined || !host.hasSnapshot(snapshot.id)) return false;
    const seconds = Math.ceil((record.endAt - this.#now()) / 1000);
    if (seconds <= 0 && record.spec.lifecycle.onTimeout === 'kill') return false;
    const at = this.#now();
    const paused = this.#records.update(
      { ...record, state: 'paused', placement: undefined, snapshot: snapshot.id, endAt: at } as const,
      lifecycleEvent('paused', record, at, { lost: true, snapshot_id: snapshot.id }),
    );
    await this.#pausing.route(paused);
    log.event('lost sandbox goes on from a snapshot', { sandboxId: record.id, snapshotId: snapshot.id });
    if (seconds > 0) {
      // The others need not wait for it; where it fails the sandbox stays paused.
      const resumed = this.connect(record.id, seconds);
      resumed.catch((error: unknown) => log.event('lost sandbox not resumed', { sandboxId: record.id, error }));
    }
    return true;
  }

  /** Creates a sandbox from a template, or from a snapshot by its ID or name. */
  create(request: CreateRequest): Promise<RunningSandbox> {
    return this.#tracked(async () => {
      // Before the rest, which counts on nothing happening in between.
      await this.#networks.assertProxyReachable(request.network);
      this.#validate(request);
      const origin = this.#origin(request);
      const record = newRecord(
        {
          ...origin.spec,
          metadata: request.metadata,
          secure: request.secure,
          apiKeyId: request.apiKeyId,
          network: request.network,
          lifecycle: lifecycleOf(request.lifecycle, request.timeoutSeconds, this.#options.host.keepsMemory),
        },
        request.timeoutSeconds,
        this.#now(),
      );
      if (origin.snapshot === undefined) return this.#create(record, { source: origin.source, step: 'create' });
      const { id, sandboxId } = origin.snapshot;
      return this.#snapshots.reading(id, () =>
        this.#create(record, { source: origin.source, agentOf: sandboxId, step: 'create' }),
      );
    });
  }

  /**
   * Makes `count` sandboxes that go on where this one is now; each succeeds or fails by itself. Throws `bad_request`,
   * and as `Snapshots.capture` and for a creation when there can be none.
   */
  fork(id: string, count: number, timeoutSeconds: number, apiKeyId: string): Promise<Fork[]> {
    return this.#tracked(async () => {
      this.#assertOpen();
      this.#assertTimeout(timeoutSeconds);
      if (count < 1) throw new SandportError('bad_request', 'Count must be at least 1');
      if (count > MAX_FORKS) throw new SandportError('bad_request', `Count cannot be greater than ${MAX_FORKS}`);
      this.#assertForkable(count, apiKeyId);
      const snapshot = newSnapshotId();
      const spec = await this.#exclusive.run(id, async () => {
        const parent = this.#running(id, 'forked');
        // Where not even one has room, nothing stands still and no connection is cut for it.
        this.#assertRoom(apiKeyId);
        await this.#options.host.assertMemoryFor(parent.placement);
        // It is gone when the forks run, and nobody's after a crash.
        await this.#snapshots.capture(parent, snapshot, false);
        return { ...parent.spec, apiKeyId };
      });
      return this.#snapshots.reading(snapshot, () =>
        Promise.all(
          Array.from({ length: count }, async (): Promise<Fork> => {
            try {
              this.#assertRoom(apiKeyId);
              const record = newRecord(spec, timeoutSeconds, this.#now());
              const source = { kind: 'snapshot', id: snapshot } as const;
              return { sandbox: await this.#create(record, { source, agentOf: id, step: 'fork' }) };
            } catch (error) {
              if (error instanceof SandportError) return { error };
              return { error: new SandportError('internal_error', 'an internal error occurred', { cause: error }) };
            }
          }),
        ),
      );
    });
  }

  /** Throws `bad_request` for more than there can ever be, beside the one that is forked. */
  #assertForkable(count: number, apiKeyId: string): void {
    const { maxSandboxes, maxSandboxesOfKey } = this.#options;
    const most = Math.min(maxSandboxes - 1, maxSandboxesOfKey(apiKeyId) ?? maxSandboxes);
    // With none left for it, the answer is that of a server that is full.
    if (most < 1 || count <= most) return;
    throw new SandportError(
      'bad_request',
      `Count is ${count}; at most ${most} forks can run at once beside the sandbox`,
    );
  }

  async #create(record: SandboxRecord, options: StartOptions): Promise<RunningSandbox> {
    const { log } = this.#options;
    this.#records.begin(record);
    faultPoint(options.step === 'fork' ? 'fork:begun' : 'create:begun');
    try {
      const running = await startSandbox(this.#core, record, options);
      const ms = running.startedAt - record.startedAt;
      log.event('sandbox created', { sandboxId: record.id, template: record.spec.alias, ms });
      return running;
    } catch (error) {
      log.event('sandbox not created', { sandboxId: record.id, error });
      await this.#abandon(record.id);
      if (error instanceof SandportError) throw error;
      throw new SandportError('sandbox_create_failed', 'Failed to place sandbox: it could not be started', {
        cause: error,
      });
    }
  }

  /** Removes a creation that failed at any step. */
  async #abandon(id: string): Promise<void> {
    const record = this.#records.get(id);
    if (record !== undefined && isRunning(record)) await this.#ends.end(record, 'creation_failed');
    else this.#records.forget(id);
  }

  #tracked<T>(task: () => Promise<T>): Promise<T> {
    const creation = task();
    this.#creations.add(creation);
    return creation.finally(() => this.#creations.delete(creation));
  }

  #validate(request: CreateRequest): void {
    this.#assertOpen();
    this.#assertTimeout(request.timeoutSeconds);
    validateEgress(request.network);
    if (request.network.maskRequestHost !== undefined) validateMask(request.network.maskRequestHost);
    if (hasPrivatePorts(request.network) && !request.secure) {
      throw new SandportError(
        'bad_request',
        "You cannot create a sandbox without public access unless you enable secure envd access via 'secure' flag.",
      );
    }
    this.#assertRoom(request.apiKeyId);
  }

  /** What a creation begins with. Throws `template_not_found`. */
  #origin({ template: wanted, envVars }: CreateRequest): Origin {
    const { name, tag } = parseTemplateName(wanted);
    const template = this.#options.templates.find(({ id, alias }) => id === name || alias === name);
    if (template !== undefined) {
      if (tag !== DEFAULT_TAG) {
        throw new SandportError('template_not_found', `tag '${tag}' does not exist for template '${name}'`);
      }
      const { id, alias, defaultUser: user, defaultWorkdir: workdir, env } = template;
      const { limits } = this.#options;
      return {
        source: { kind: 'template', template },
        spec: { templateId: id, alias, envVars, limits, defaults: { user, workdir, env } },
      };
    }
    const snapshot = this.#snapshots.find(wanted);
    if (snapshot === undefined) throw new SandportError('template_not_found', `template '${wanted}' not found`);
    const { limits, defaults, envVars: before } = snapshot.spec;
    return {
      source: { kind: 'snapshot', id: snapshot.id },
      snapshot,
      spec: {
        templateId: snapshot.id,
        alias: snapshot.name ?? snapshot.id,
        envVars: { ...before, ...envVars },
        limits,
        defaults,
      },
    };
  }

  #assertOpen(): void {
    if (this.#closing) throw new SandportError('shutting_down', 'the server is stopping');
  }

  #assertTimeout(seconds: number): void {
    if (seconds <= 0) throw new SandportError('invalid_timeout', 'Timeout must be greater than 0');
    if (seconds > MAX_LIFE_SECONDS) {
      throw new SandportError('invalid_timeout', `Timeout cannot be greater than ${MAX_LIFE_SECONDS / 3600} hours`);
    }
  }

  /** Throws `too_many_sandboxes`, or `capacity_exhausted` for the disk: memory is asked for when it is to be taken. */
  #assertRoom(apiKeyId: string | undefined): void {
    const alive = this.#records.values().filter(({ state }) => state !== 'ending' && state !== 'paused');
    const most = apiKeyId === undefined ? undefined : this.#options.maxSandboxesOfKey(apiKeyId);
    if (most !== undefined && alive.filter(({ spec }) => spec.apiKeyId === apiKeyId).length >= most) {
      throw new SandportError(
        'too_many_sandboxes',
        `you have reached the maximum number of concurrent sandboxes of this API key (${most})`,
      );
    }
    if (alive.length >= this.#options.maxSandboxes) {
      throw new SandportError(
        'too_many_sandboxes',
        `you have reached the maximum number of concurrent sandboxes (${this.#options.maxSandboxes})`,
      );
    }
    this.#options.host.assertDiskRoom();
  }

  /** One that runs or is paused. Throws `sandbox_not_found`. */
  get(id: string): SandboxRecord {
    const record = this.#records.get(id);
    if (record === undefined || publicState(record) === undefined) throw this.#notFound(id);
    return record;
  }

  /** Whether there is one that runs or is paused. */
  has(id: string): boolean {
    const record = this.#records.get(id);
    return record !== undefined && publicState(record) !== undefined;
  }

  /** Has a sandbox that runs ready for what it is asked next. */
  rouse(id: string): void {
    const record = this.#records.get(id);
    if (record !== undefined && isRunning(record)) this.#options.host.rouse(record.placement);
  }

  /** Says why it ended, where that is known. */
  #notFound(id: string): SandportError {
    const query = { sandboxId: id, kinds: ['killed'], limit: 1, offset: 0, order: 'desc' } as const;
    const end = END_REASONS[String(this.#options.events.list(query)[0]?.data.kill_reason) as EndReason];
    const more = end === undefined ? '' : ` (${end})`;
    return new SandportError(
      'sandbox_not_found',
      `Sandbox "${id}" doesn't exist or you don't have access to it${more}`,
    );
  }

  /** Those that run or are paused. */
  list(): SandboxRecord[] {
    return this.#records.values().filter((record) => publicState(record) !== undefined);
  }

  get runningCount(): number {
    return this.#records.values().filter(isRunning).length;
  }

  /** Throws `sandbox_not_found`, or `sandbox_state_conflict` for one that is paused. */
  #running(id: string, what: string): RunningSandbox {
    const record = this.get(id);
    if (isRunning(record)) return record;
    throw new SandportError('sandbox_state_conflict', `Sandbox "${id}" cannot be ${what} while it is paused`);
  }

  /** Throws `sandbox_not_found`, also for one that is paused. */
  #alive(id: string): RunningSandbox {
    const record = this.get(id);
    if (!isRunning(record)) throw this.#notFound(id);
    return record;
  }

  /**
   * Ends a sandbox, or deletes one that is paused: when it returns, its URLs are dead and its end is recorded. Throws
   * `sandbox_not_found`.
   */
  async kill(id: string): Promise<void> {
    await this.#exclusive.run(id, () => this.#ends.end(this.get(id), 'request'));
  }

  /** Throws `sandbox_not_found`, `sandbox_state_conflict` when it is paused, and as `Pausing.pause`. */
  async pause(id: string, keepMemory: boolean): Promise<void> {
    this.get(id);
    await this.#exclusive.run(id, async () => {
      this.#assertOpen();
      await this.#pausing.pause(this.#running(id, 'paused'), keepMemory);
    });
  }

  /**
   * Gives the sandbox at least `seconds` more, and resumes it first when it is paused or is just being paused.
   *
   * @param options `restart`: a paused one is resumed without its processes
   * @returns the record, and whether it was resumed. Throws `sandbox_not_found`, `invalid_timeout`, and as `Pausing.resume`
   */
  async connect(
    id: string,
    seconds: number,
    options: { readonly restart?: boolean } = {},
  ): Promise<{ record: RunningSandbox; resumed: boolean }> {
    if (isRunning(this.get(id))) return { record: this.extend(id, seconds), resumed: false };
    this.#assertTimeout(seconds);
    return this.#exclusive.run(id, async () => {
      this.#assertOpen();
      const record = this.get(id);
      if (isRunning(record)) return { record: this.extend(id, seconds), resumed: false };
      if (!isPaused(record)) throw this.#notFound(id);
      return { record: await this.#pausing.resume(record, seconds, options.restart), resumed: true };
    });
  }

  /** Resumes a paused sandbox for a request to its public URL; the same for all that come meanwhile. */
  async wake(id: string): Promise<void> {
    const { autoResume, resumeSeconds } = this.get(id).spec.lifecycle;
    if (!autoResume) throw this.#notFound(id);
    await this.#exclusive.run(id, async () => {
      this.#assertOpen();
      const record = this.get(id);
      if (isPaused(record)) await this.#pausing.resume(record, resumeSeconds);
    });
  }

  /** Throws `sandbox_not_found`, `sandbox_state_conflict` when it is paused, and as `Snapshots.create`. */
  createSnapshot(id: string, name: string | undefined): Promise<SnapshotRecord> {
    return this.#tracked(() =>
      this.#exclusive.run(id, async () => {
        this.#assertOpen();
        return this.#snapshots.create(this.#running(id, 'snapshotted'), name);
      }),
    );
  }

  listSnapshots(): SnapshotRecord[] {
    return this.#snapshots.list();
  }

  /** Throws `snapshot_not_found`. */
  deleteSnapshot(reference: string): Promise<void> {
    return this.#snapshots.delete(reference);
  }

  /** Moves the end to `seconds` from now, within the longest life. Throws `sandbox_not_found` or `invalid_timeout`. */
  setTimeout(id: string, seconds: number): RunningSandbox {
    if (seconds < 0) throw new SandportError('invalid_timeout', 'Timeout must not be negative');
    // The clock first: when it was set, the record is another afterwards.
    const now = this.#now();
    const record = this.#alive(id);
    const latest = record.startedAt + MAX_LIFE_SECONDS * 1000;
    if (latest <= now) throw new SandportError('invalid_timeout', 'Max instance length exceeded');
    return this.#ends.move(record, Math.min(now + seconds * 1000, latest));
  }

  /** Moves the end to `seconds` from now, only if that is later. */
  extend(id: string, seconds: number): RunningSandbox {
    const now = this.#now();
    const record = this.#alive(id);
    if (now + seconds * 1000 <= record.endAt) return record;
    return this.setTimeout(id, seconds);
  }

  /** Replaces what a sandbox may reach. Throws `sandbox_not_found` or `invalid_network_rule`. */
  async updateNetwork(id: string, egress: EgressSpec): Promise<void> {
    validateEgress(egress);
    await this.#networks.assertProxyReachable(egress);
    await this.#exclusive.run(id, () => this.#networks.update(this.#running(id, 'changed'), egress));
  }

  networkReport(id: string): Promise<NetworkReport> {
    return this.#networks.report(this.get(id));
  }

  /** Of every sandbox that runs. */
  traffic(): Promise<Map<string, EgressTraffic>> {
    return this.#networks.traffic();
  }

  /**
   * Signs a URL that opens a private port for `seconds`, also of a sandbox that is paused. Throws `sandbox_not_found`,
   * `port_is_public` or `bad_request`.
   */
  signUrl(id: string, port: number, seconds: number): SignedUrl {
    if (seconds < 1 || seconds > MAX_URL_SECONDS) {
      throw new SandportError('bad_request', `expiresIn is ${seconds}; expected 1 to ${MAX_URL_SECONDS} seconds`);
    }
    const { tokens, domain } = this.#options;
    return signUrl(this.get(id), port, seconds, { tokens, domain, now: this.#now() });
  }

  /** Ends every signed URL of a sandbox, and every cookie that came of one. Throws `sandbox_not_found`. */
  async revokeSignedUrls(id: string): Promise<void> {
    await this.#exclusive.run(id, async () => {
      const { spec, ...record } = this.get(id);
      const network = { ...spec.network, urlGeneration: (spec.network.urlGeneration ?? 0) + 1 };
      const changed = this.#records.update({ ...record, spec: { ...spec, network } });
      if (isRunning(changed)) await this.#options.routes.setRoute(runningRoute(changed, this.#options.tokens));
      else if (isPaused(changed)) await this.#pausing.route(changed);
    });
  }

  /** Ends the core. Sandboxes end with it unless `keep` is set. */
  async close(options: { keep: boolean }): Promise<{ sandboxesLeft: boolean }> {
    this.#closing = true;
    this.#ends.stop();
    await Promise.allSettled(this.#creations);
    await this.#exclusive.idle();
    this.#ending.abort();
    if (!options.keep) {
      const running = this.#records.values().filter(isRunning);
      await Promise.allSettled(running.map((record) => this.#ends.end(record, 'shutdown')));
    }
    await this.#pausing.removed();
    await this.#ends.removed();
    // A paused sandbox is a snapshot and a record, which need nothing of the machine.
    const left = this.#records.values().filter((record) => !isPaused(record) || record.placement !== undefined);
    return { sandboxesLeft: left.length > 0 };
  }
}

/** What a creation begins with. */
interface Origin {
  readonly source: StartSource;
  readonly snapshot?: SnapshotRecord;
  readonly spec: Pick<SandboxSpec, 'templateId' | 'alias' | 'envVars' | 'limits' | 'defaults'>;
}

function newRecord(spec: SandboxSpec, timeoutSeconds: number, now: number): SandboxRecord {
  return {
    id: newSandboxId(),
    state: 'creating',
    generation: randomUUID(),
    startedAt: now,
    createdAt: now,
    endAt: now + timeoutSeconds * 1000,
    spec,
    placement: undefined,
  };
}
