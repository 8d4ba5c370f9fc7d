// Keeps the gateway workers running and tells them the routes. Workers outlive it: they are processes of their own,
// found again through their reconnecting and the worker file.

import { type ChildProcess, spawn } from 'node:child_process';
import { chmodSync, closeSync, openSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import type {
  GatewaySettings,
  GatewayTls,
  Route,
  ServiceRoute,
  WakeFailure,
  WorkerReport,
} from '@sandport/protocol/routes';
import { removeOldEntries } from '../compile-cache.ts';
import { identify, isRunning, type ProcessIdentity, signal, untilGone } from '../process-identity.ts';
import { assertUnused } from './ports.ts';
import { SharedTraffic } from './shared-traffic.ts';
import { WorkerFile } from './worker-file.ts';
import { WorkerLink } from './worker-link.ts';

const WORKER = new URL('../gateway/worker.ts', import.meta.url).pathname;

/** How long workers of an earlier control process have to report themselves; they try at least twice a second. */
const SETTLE_TIME = 1500;
const APPLY_TIME = 2000;
const START_TIME = 20_000;
const FIRST_BACKOFF = 100;
const LONGEST_BACKOFF = 10_000;
/** A worker that served for this long did not fail because of how it was started. */
const PROVEN_TIME = 10_000;
const CHECK_INTERVAL = 500;

export interface SupervisorLog {
  info(fields: object, event: string): void;
  warn(fields: object, event: string): void;
  error(fields: object, event: string): void;
}

export interface GatewaySupervisorOptions {
  /** Unix socket through which the workers are fed. The worker file is kept beside it. */
  readonly socketPath: string;
  readonly settings: GatewaySettings;
  readonly tls: GatewayTls;
  readonly services: readonly ServiceRoute[];
  /** How many workers share the ports. */
  readonly workers: number;
  /** Resumes a sandbox for requests that wait. Resolves when its route has been set, or with why it has none. */
  readonly wake?: (sandboxId: string) => Promise<WakeFailure | undefined>;
  /** Told of a sandbox that runs, once a second while it has requests. */
  readonly used?: (sandboxId: string) => void;
  readonly log: SupervisorLog;
  /** File that the workers' own log is appended to; without it there is none. */
  readonly workerLogPath?: string;
  /** Directory, root's alone, where workers keep what the compiler made of them for the next ones. */
  readonly compileCache?: string;
}

interface Worker {
  readonly identity: ProcessIdentity;
  readonly startedAt: number;
  link: WorkerLink | undefined;
}

export class GatewaySupervisor implements AsyncDisposable {
  readonly #options: GatewaySupervisorOptions;
  readonly #file: WorkerFile;
  readonly #routes = new Map<string, Route>();
  readonly #workers = new Map<number, Worker>();
  readonly #links = new Set<WorkerLink>();
  readonly #usage = new SharedTraffic<WorkerLink>((link, usage) => link.send({ type: 'usage-elsewhere', usage }));
  #tls: GatewayTls;
  #server: Server | undefined;
  #sequence = 0;
  #backoff = FIRST_BACKOFF;
  #nextSpawn = 0;
  #check: NodeJS.Timeout | undefined;
  #stopped: Promise<void> | undefined;
  /** Set while `start` waits: a worker that cannot start ends it. */
  #onStartFailure: ((error: Error) => void) | undefined;
  #onReady: (() => void) | undefined;

  constructor(options: GatewaySupervisorOptions) {
    this.#options = options;
    this.#tls = options.tls;
    this.#file = new WorkerFile(options.socketPath);
  }

  /**
   * Adopts the workers of an earlier control process, and starts the missing ones. Resolves when all of them serve.
   *
   * @throws when an address is in use, or a worker cannot start; then nothing is left running that this call started
   */
  async start(): Promise<void> {
    const { settings, workers, compileCache, log } = this.#options;
    try {
      if (compileCache !== undefined) removeOldEntries(compileCache);
    } catch (error) {
      log.warn({ err: error }, 'old entries of the compile cache are not removed');
    }
    const before = this.#file.read();
    const known = before?.workers.filter(isRunning) ?? [];
    const usable = before !== undefined && isDeepStrictEqual(before.settings, settings) ? known : [];
    if (usable.length < known.length) {
      log.info({ workers: known.map(({ pid }) => pid) }, 'gateway workers with other settings are replaced');
      for (const identity of known) signal(identity, 'SIGTERM');
      for (const identity of await untilGone(known, SETTLE_TIME)) signal(identity, 'SIGKILL');
      await untilGone(known, SETTLE_TIME);
    }
    await this.#listen();
    try {
      await this.#adopt(usable);
      if (this.#workers.size === 0) await assertUnused(settings.listen);
      const started = new Promise<void>((resolve, reject) => {
        this.#onReady = () => {
          if ([...this.#workers.values()].filter((worker) => worker.link?.ready).length >= workers) resolve();
        };
        this.#onStartFailure = reject;
      });
      const timeout = setTimeout(
        () => this.#onStartFailure?.(new Error(`gateway workers did not start within ${START_TIME} ms`)),
        START_TIME,
      );
      try {
        while (this.#workers.size < workers) this.#spawn();
        this.#onReady?.();
        await started;
      } finally {
        clearTimeout(timeout);
        this.#onStartFailure = undefined;
        this.#onReady = undefined;
      }
      this.#check = setInterval(() => this.#reconcile(), CHECK_INTERVAL);
      this.#check.unref();
    } catch (error) {
      await this.stop({ graceMs: 0 });
      throw error;
    }
  }

  /** Resolves when every worker that serves routes by it, at the latest after 2 s. */
  setRoute(route: Route): Promise<void> {
    this.#routes.set(route.sandboxId, route);
    return this.#apply((sequence) => ({ type: 'set-route', route, sequence }));
  }

  /** Cuts the sandbox's connections. Resolves like `setRoute`. */
  deleteRoute(sandboxId: string): Promise<void> {
    this.#routes.delete(sandboxId);
    return this.#apply((sequence) => ({ type: 'delete-route', sandboxId, sequence }));
  }

  /** What the workers report; one that does not answer in time is left out. */
  async reports(): Promise<WorkerReport[]> {
    const sequence = ++this.#sequence;
    const late = delay(APPLY_TIME, undefined, { ref: false });
    const links = [...this.#links].filter((link) => link.ready);
    const reports = await Promise.all(links.map((link) => Promise.race([link.report(sequence), late])));
    return reports.filter((report) => report !== undefined);
  }

  /** Has new handshakes use another certificate; open connections go on. */
  setTls(tls: GatewayTls): void {
    this.#tls = tls;
    for (const link of this.#links) link.send({ type: 'set-tls', tls });
  }

  /**
   * Ends the workers: at once those that are idle, the others after up to `graceMs`. With `keepWorkers` they go on,
   * and serve what they know until the next control process adopts them.
   */
  stop(options: { readonly graceMs: number; readonly keepWorkers?: boolean }): Promise<void> {
    this.#stopped ??= this.#stop(options.graceMs, options.keepWorkers ?? false);
    return this.#stopped;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop({ graceMs: 0 });
  }

  /** Process IDs of the workers. */
  get pids(): readonly number[] {
    return [...this.#workers.keys()];
  }

  async #stop(graceMs: number, keepWorkers: boolean): Promise<void> {
    clearInterval(this.#check);
    // One that was never started owns nothing: workers of an earlier control process are there for the next.
    if (this.#server === undefined) return;
    const identities = [...this.#workers.values()].map(({ identity }) => identity);
    if (!keepWorkers) {
      for (const link of this.#links) link.send({ type: 'stop', graceMs });
      for (const worker of this.#workers.values()) if (worker.link === undefined) signal(worker.identity, 'SIGTERM');
      for (const identity of await untilGone(identities, graceMs + 1000)) signal(identity, 'SIGKILL');
      await untilGone(identities, 1000);
      this.#file.remove();
    }
    for (const link of this.#links) link.close();
    const server = this.#server;
    // Closing removes the socket's file.
    await new Promise((resolve) => server.close(resolve));
  }

  async #listen(): Promise<void> {
    const { socketPath } = this.#options;
    rmSync(socketPath, { force: true });
    const server = createServer((socket) => {
      const link = new WorkerLink(socket, {
        hello: (one) => this.#onHello(one),
        ready: () => this.#onReady?.(),
        failed: (one, message) => this.#onFailed(one, message),
        wake: (one, sandboxId) => void this.#onWake(one, sandboxId),
        used: (sandboxId) => this.#options.used?.(sandboxId),
        usage: (one, usage) => this.#usage.set(one, usage),
        closed: (one) => this.#onClosed(one),
      });
      this.#links.add(link);
    });
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(socketPath, resolve);
    });
    chmodSync(socketPath, 0o600);
    this.#server = server;
  }

  async #adopt(identities: readonly ProcessIdentity[]): Promise<void> {
    if (identities.length === 0) return;
    const deadline = performance.now() + SETTLE_TIME;
    const missing = () => identities.filter((one) => isRunning(one) && !this.#workers.get(one.pid)?.link?.ready);
    while (missing().length > 0 && performance.now() < deadline) {
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    // One that does not report itself cannot be told of routes, and must not serve old ones.
    for (const identity of missing()) signal(identity, 'SIGKILL');
    await untilGone(
      identities.filter(({ pid }) => !this.#workers.has(pid)),
      SETTLE_TIME,
    );
    if (this.#workers.size > 0) this.#options.log.info({ workers: this.pids }, 'gateway workers adopted');
  }

  #onHello(link: WorkerLink): void {
    const identity = identify(link.pid);
    if (identity === undefined || this.#stopped !== undefined) {
      link.close();
      return;
    }
    let worker = this.#workers.get(link.pid);
    if (worker === undefined) {
      worker = { identity, startedAt: performance.now(), link: undefined };
      this.#workers.set(link.pid, worker);
      this.#record();
    }
    worker.link = link;
    const { settings, services, workers } = this.#options;
    const routes = [...this.#routes.values()];
    link.send({ type: 'snapshot', settings, tls: this.#tls, services, routes, workers });
    this.#usage.add(link);
    if (this.#workers.size > workers && ![...this.#workers.keys()].slice(0, workers).includes(link.pid)) {
      link.send({ type: 'stop', graceMs: PROVEN_TIME });
    }
  }

  #onFailed(link: WorkerLink, message: string): void {
    this.#options.log.error({ worker: link.pid, message }, 'gateway worker cannot start');
    this.#onStartFailure?.(new Error(`gateway worker cannot start: ${message}`));
  }

  async #onWake(link: WorkerLink, sandboxId: string): Promise<void> {
    const code = await this.#options.wake?.(sandboxId);
    if (code !== undefined) link.send({ type: 'wake-failed', sandboxId, code });
  }

  #onClosed(link: WorkerLink): void {
    this.#links.delete(link);
    this.#usage.delete(link);
    const worker = this.#workers.get(link.pid);
    if (worker?.link === link) worker.link = undefined;
  }

  async #apply(change: (sequence: number) => Parameters<WorkerLink['apply']>[0]): Promise<void> {
    const message = change(++this.#sequence);
    const applied: Promise<void>[] = [];
    // A worker that is still starting gets the change too, behind its snapshot, but nobody waits for it.
    for (const link of this.#links) {
      if (link.ready) applied.push(link.apply(message));
      else if (link.pid !== 0) void link.apply(message);
    }
    if (applied.length === 0) return;
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<'late'>((resolve) => {
      timer = setTimeout(resolve, APPLY_TIME, 'late');
    });
    const result = await Promise.race([Promise.all(applied), late]);
    clearTimeout(timer);
    if (result === 'late') this.#options.log.warn({ type: message.type }, 'gateway worker is late with a change');
  }

  /** Forgets workers that have ended, and starts others in their place. */
  #reconcile(): void {
    if (this.#stopped !== undefined) return;
    const { workers, log } = this.#options;
    const now = performance.now();
    for (const [pid, worker] of this.#workers) {
      if (isRunning(worker.identity)) continue;
      this.#workers.delete(pid);
      const servedFor = now - worker.startedAt;
      log.error({ worker: pid, ms: Math.round(servedFor) }, 'gateway worker ended');
      this.#backoff = servedFor > PROVEN_TIME ? FIRST_BACKOFF : Math.min(this.#backoff * 2, LONGEST_BACKOFF);
      this.#nextSpawn = servedFor > PROVEN_TIME ? 0 : now + this.#backoff;
      this.#record();
    }
    if (now < this.#nextSpawn) return;
    while (this.#workers.size < workers) this.#spawn();
  }

  #spawn(): void {
    const { socketPath, workerLogPath, compileCache, log } = this.#options;
    const output = workerLogPath === undefined ? 'ignore' : openSync(workerLogPath, 'a', 0o600);
    let child: ChildProcess;
    try {
      child = spawn(process.execPath, [WORKER, socketPath], {
        cwd: '/',
        detached: true,
        // A worker needs nothing of the environment, which may hold secrets.
        env: { PATH: process.env.PATH, ...(compileCache && { NODE_COMPILE_CACHE: compileCache }) },
        stdio: ['ignore', output, output],
      });
    } finally {
      if (output !== 'ignore') closeSync(output);
    }
    child.unref();
    child.once('error', (error) => this.#onStartFailure?.(error));
    const identity = child.pid === undefined ? undefined : identify(child.pid);
    if (identity === undefined) throw new Error('cannot start a gateway worker');
    this.#workers.set(identity.pid, { identity, startedAt: performance.now(), link: undefined });
    this.#record();
    log.info({ worker: identity.pid }, 'gateway worker started');
    child.once('exit', (code, name) => {
      const reason = code === null ? `signal ${name}` : `exit code ${code}`;
      this.#onStartFailure?.(new Error(`gateway worker ended before it was ready (${reason})`));
      setImmediate(() => this.#onStartFailure === undefined && this.#check !== undefined && this.#reconcile());
    });
  }

  #record(): void {
    const workers = [...this.#workers.values()].map(({ identity }) => identity);
    this.#file.write({ settings: this.#options.settings, workers });
  }
}
