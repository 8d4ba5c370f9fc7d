// The core: creates sandboxes, keeps their records, ends them at their time, and picks up where a stopped Sandport left off.
import { randomUUID } from 'node:crypto';
import { SandportError } from '@sandport/protocol/errors';
import type { Route } from '@sandport/protocol/routes';
import type { Host } from '../host/host.ts';
import type { Template } from '../host/image/installation.ts';
import type { ResourceLimits } from '../host/runtime/runtime.ts';
import { EndTimers } from './end-timers.ts';
import { egressPolicy, validateEgress, validateMask } from './network-policy.ts';
import { newSandboxId } from './sandbox-id.ts';
import type { NetworkSpec, RunningSandbox, SandboxRecord, SandboxStore } from './sandbox-record.ts';
import { type SandboxTokens, sha256Hex } from './sandbox-tokens.ts';
import { Semaphore } from './semaphore.ts';

/** Where routes go: the gateways. A promise resolves when every gateway knows. */
export interface RouteSink {
  setRoute(route: Route): Promise<void>;
  deleteRoute(sandboxId: string): Promise<void>;
}

export interface SandboxEvents {
  event(name: string, fields: Readonly<Record<string, unknown>>): void;
}

export interface SandboxesOptions {
  readonly store: SandboxStore;
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
  /** Starts that go on at once; more wait for their turn. */
  readonly concurrentStarts: number;
  readonly log: SandboxEvents;
  readonly now?: () => number;
}

export interface CreateRequest {
  readonly template: string;
  readonly timeoutSeconds: number;
  readonly secure: boolean;
  readonly metadata: Readonly<Record<string, string>>;
  readonly envVars: Readonly<Record<string, string>>;
  readonly network: NetworkSpec;
}

export const MAX_LIFE_SECONDS = 24 * 3600;
const LIVENESS_MS = 1000;
const SANDBOX_HOSTNAME = 'sandbox';

export class Sandboxes {
  readonly #options: SandboxesOptions;
  readonly #records = new Map<string, SandboxRecord>();
  readonly #timers: EndTimers;
  readonly #starts: Semaphore;
  readonly #now: () => number;
  /** Removals that go on in the background. */
  readonly #removals = new Map<string, Promise<void>>();
  readonly #creations = new Set<Promise<unknown>>();
  #liveness: NodeJS.Timeout | undefined;
  #closing = false;

  constructor(options: SandboxesOptions) {
    this.#options = options;
    this.#now = options.now ?? Date.now;
    this.#starts = new Semaphore(options.concurrentStarts);
    this.#timers = new EndTimers({ now: this.#now, onEnd: (id) => this.#end(id, 'end-time') });
  }

  /** Adopts what still runs, removes what nobody owns. To be called once, first. */
  async open(): Promise<void> {
    const { store, host, log } = this.#options;
    const records = store.all();
    const owned = new Map(
      records
        .filter(isRunning)
        .map((record) => [record.id, { ...record.placement, egress: egressPolicy(record.spec.network) }]),
    );
    const alive = await host.reconcile(owned);
    for (const record of records) {
      if (isRunning(record) && alive.has(record.id)) {
        this.#records.set(record.id, record);
        await this.#options.routes.setRoute(this.#route(record));
        this.#timers.set(record.id, record.endAt);
        log.event('sandbox adopted', { sandboxId: record.id });
      } else {
        store.delete(record.id);
        log.event('sandbox removed', {
          sandboxId: record.id,
          reason: record.state === 'running' ? 'lost' : record.state,
        });
      }
    }
    this.#liveness = setInterval(() => void this.#checkLiveness(), LIVENESS_MS);
  }

  async create(request: CreateRequest): Promise<RunningSandbox> {
    const creation = this.#create(request);
    this.#creations.add(creation);
    return creation.finally(() => this.#creations.delete(creation));
  }

  async #create(request: CreateRequest): Promise<RunningSandbox> {
    const template = this.#validate(request);
    const { store, host, routes, limits, log } = this.#options;
    const asked = this.#now();
    const record: SandboxRecord = {
      id: newSandboxId(),
      state: 'creating',
      generation: randomUUID(),
      startedAt: asked,
      endAt: asked + request.timeoutSeconds * 1000,
      spec: {
        templateId: template.id,
        alias: template.alias,
        metadata: request.metadata,
        envVars: request.envVars,
        secure: request.secure,
        network: request.network,
        limits,
      },
      placement: undefined,
    };
    store.insert(record);
    this.#records.set(record.id, record);
    try {
      const placement = await this.#starts.run(() => {
        if (this.#closing) throw new SandportError('shutting_down', 'the server is stopping');
        return host.start(
          {
            sandboxId: record.id,
            template,
            egress: egressPolicy(request.network),
            init: {
              controlToken: this.#options.tokens.agentControl(record.id),
              sandboxId: record.id,
              templateId: template.id,
              ...(request.secure && { accessToken: this.#options.tokens.agentAccess(record.id) }),
              tunnelToken: this.#options.tokens.loopbackTunnel(record.id),
              envVars: { ...template.env, ...request.envVars },
              defaultUser: template.defaultUser,
              defaultWorkdir: template.defaultWorkdir,
              hostname: SANDBOX_HOSTNAME,
              nameservers: this.#options.nameservers,
              domain: this.#options.domain,
              now: this.#now(),
            },
          },
          (place) => this.#options.store.update({ ...record, placement: place }),
        );
      });
      const startedAt = this.#now();
      const running: RunningSandbox = {
        ...record,
        state: 'running',
        startedAt,
        endAt: startedAt + request.timeoutSeconds * 1000,
        placement,
      };
      // The gateways know it before the client does, and the record is durable before either.
      store.update(running);
      this.#records.set(record.id, running);
      this.#timers.set(record.id, running.endAt);
      await routes.setRoute(this.#route(running));
      log.event('sandbox created', { sandboxId: record.id, template: template.alias, ms: startedAt - asked });
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
    if (record !== undefined && isRunning(record)) {
      await this.#end(id, 'its creation failed');
    } else {
      this.#records.delete(id);
      this.#options.store.delete(id);
    }
  }

  #validate(request: CreateRequest): Template {
    if (this.#closing) throw new SandportError('shutting_down', 'the server is stopping');
    if (request.timeoutSeconds <= 0) throw new SandportError('invalid_timeout', 'Timeout must be greater than 0');
    if (request.timeoutSeconds > MAX_LIFE_SECONDS) {
      throw new SandportError('invalid_timeout', `Timeout cannot be greater than ${MAX_LIFE_SECONDS / 3600} hours`);
    }
    const template = this.#options.templates.find(
      ({ id, alias }) => id === request.template || alias === request.template,
    );
    if (template === undefined)
      throw new SandportError('template_not_found', `template '${request.template}' not found`);
    validateEgress(request.network);
    if (request.network.maskRequestHost !== undefined) validateMask(request.network.maskRequestHost);
    if (!request.network.allowPublicTraffic && !request.secure) {
      throw new SandportError(
        'bad_request',
        "You cannot create a sandbox without public access unless you enable secure envd access via 'secure' flag.",
      );
    }
    const alive = [...this.#records.values()].filter(({ state }) => state !== 'ending').length;
    if (alive >= this.#options.maxSandboxes) {
      throw new SandportError(
        'too_many_sandboxes',
        `you have reached the maximum number of concurrent sandboxes (${this.#options.maxSandboxes})`,
      );
    }
    return template;
  }

  /** Throws `sandbox_not_found`. */
  get(id: string): RunningSandbox {
    const record = this.#records.get(id);
    if (record === undefined || !isRunning(record)) {
      throw new SandportError('sandbox_not_found', `Sandbox "${id}" doesn't exist or you don't have access to it`);
    }
    return record;
  }

  list(): RunningSandbox[] {
    return [...this.#records.values()].filter(isRunning);
  }

  /** Ends a sandbox: when it returns, its URLs are dead and its end is recorded. Throws `sandbox_not_found`. */
  async kill(id: string): Promise<void> {
    this.get(id);
    await this.#end(id, 'killed');
  }

  /** Moves the end to `seconds` from now, within the longest life. Throws `sandbox_not_found` or `invalid_timeout`. */
  setTimeout(id: string, seconds: number): RunningSandbox {
    if (seconds < 0) throw new SandportError('invalid_timeout', 'Timeout must not be negative');
    const record = this.get(id);
    const latest = record.startedAt + MAX_LIFE_SECONDS * 1000;
    if (latest <= this.#now()) throw new SandportError('invalid_timeout', 'Max instance length exceeded');
    return this.#moveEnd(record, Math.min(this.#now() + seconds * 1000, latest));
  }

  /** Moves the end to `seconds` from now, only if that is later. */
  extend(id: string, seconds: number): RunningSandbox {
    const record = this.get(id);
    if (this.#now() + seconds * 1000 <= record.endAt) return record;
    return this.setTimeout(id, seconds);
  }

  #moveEnd(record: RunningSandbox, endAt: number): RunningSandbox {
    const moved = { ...record, endAt };
    this.#options.store.update(moved);
    this.#records.set(record.id, moved);
    this.#timers.set(record.id, endAt);
    return moved;
  }

  /** Replaces what a sandbox may reach. Throws `sandbox_not_found` or `invalid_network_rule`. */
  async updateNetwork(
    id: string,
    egress: { allowInternetAccess?: boolean | undefined; allowOut: readonly string[]; denyOut: readonly string[] },
  ): Promise<void> {
    validateEgress(egress);
    const record = this.get(id);
    const { allowInternetAccess: _replaced, ...ingress } = record.spec.network;
    const network: NetworkSpec = {
      ...ingress,
      allowOut: egress.allowOut,
      denyOut: egress.denyOut,
      ...(egress.allowInternetAccess !== undefined && { allowInternetAccess: egress.allowInternetAccess }),
    };
    const updated = { ...record, spec: { ...record.spec, network } };
    this.#options.store.update(updated);
    this.#records.set(id, updated);
    await this.#options.host.setEgress(record.placement, egressPolicy(network));
  }

  /** Whether the sandbox at this slot address may resolve names: not without the internet. */
  mayResolve(address: string): boolean {
    for (const record of this.#records.values()) {
      if (record.placement?.address === address) return record.spec.network.allowInternetAccess !== false;
    }
    return false;
  }

  /** Ends the core. Sandboxes end with it unless `keep` is set. */
  async close(options: { keep: boolean }): Promise<{ sandboxesLeft: boolean }> {
    this.#closing = true;
    clearInterval(this.#liveness);
    this.#timers.close();
    await Promise.allSettled(this.#creations);
    if (!options.keep) await Promise.allSettled(this.list().map(({ id }) => this.#end(id, 'shutdown')));
    await Promise.allSettled(this.#removals.values());
    return { sandboxesLeft: this.#records.size > 0 };
  }

  async #end(id: string, reason: string): Promise<void> {
    const record = this.#records.get(id);
    if (record === undefined || !isRunning(record)) return;
    const ending: SandboxRecord = { ...record, state: 'ending' };
    this.#options.store.update(ending);
    this.#records.set(id, ending);
    this.#timers.clear(id);
    this.#options.log.event('sandbox ended', { sandboxId: id, reason });
    await this.#options.routes.deleteRoute(id);
    this.#removals.set(id, this.#remove(ending));
  }

  async #remove(record: SandboxRecord): Promise<void> {
    try {
      await this.#options.host.remove(record.id, record.placement);
      this.#options.store.delete(record.id);
      this.#records.delete(record.id);
    } catch (error) {
      // The record stays, so that the next start removes what is left.
      this.#options.log.event('sandbox not removed', { sandboxId: record.id, error });
    } finally {
      this.#removals.delete(record.id);
    }
  }

  async #checkLiveness(): Promise<void> {
    try {
      const ended = await this.#options.host.findEnded(this.list().map(({ id }) => id));
      for (const id of ended) await this.#end(id, 'its processes ended');
      this.#options.host.calmIdle();
    } catch (error) {
      this.#options.log.event('liveness check failed', { error });
    }
  }

  #route(record: RunningSandbox): Route {
    const { network } = record.spec;
    return {
      sandboxId: record.id,
      generation: record.generation,
      address: record.placement.address,
      tunnelToken: this.#options.tokens.loopbackTunnel(record.id),
      access: network.allowPublicTraffic
        ? { kind: 'public' }
        : { kind: 'token', tokenSha256: sha256Hex(this.#options.tokens.trafficAccess(record.id)) },
      ...(network.maskRequestHost !== undefined && { maskRequestHost: network.maskRequestHost }),
    };
  }
}

function isRunning(record: SandboxRecord): record is RunningSandbox {
  return record.state === 'running' && record.placement !== undefined;
}
