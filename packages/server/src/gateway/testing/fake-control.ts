// For tests: a control process's end of the link, and a worker process that it feeds.

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { GatewayDownward, GatewaySettings, GatewayUpward, Route, ServiceRoute } from '@sandport/protocol/routes';
import { freePort } from './free-port.ts';
import { testTls } from './test-tls.ts';

const WORKER = new URL('../worker.ts', import.meta.url).pathname;

export const DOMAIN = 'box.test';

/** A change without its number, which `apply` gives it. */
type Change =
  | { readonly type: 'set-route'; readonly route: Route }
  | { readonly type: 'delete-route'; readonly sandboxId: string };

export class FakeControl implements AsyncDisposable {
  readonly directory: string;
  readonly socketPath: string;
  readonly port: number;
  settings: Partial<GatewaySettings> = {};
  routes: Route[] = [];
  services: ServiceRoute[] = [];
  /** What workers have said. */
  readonly messages: GatewayUpward[] = [];
  worker!: ChildProcess;
  output = '';
  /** Whether the worker's end is meant. */
  ending = false;
  #server: Server | undefined;
  #link: Socket | undefined;
  #sequence = 0;
  readonly #waiting: { matches: (message: GatewayUpward) => boolean; resolve: () => void }[] = [];

  private constructor(directory: string, port: number) {
    this.directory = directory;
    this.socketPath = join(directory, 'control.sock');
    this.port = port;
  }

  /**
   * Starts a worker that serves `routes`, and waits until it listens.
   *
   * @param settings beside the domain and the address
   * @param port which other workers may listen on too; a free one when left out
   */
  static async start(
    routes: Route[],
    services: ServiceRoute[] = [],
    orphanMs?: number,
    port?: number,
    settings: Partial<GatewaySettings> | ((directory: string) => Partial<GatewaySettings>) = {},
  ): Promise<FakeControl> {
    const directory = await mkdtemp(join(tmpdir(), 'sandport-gateway-'));
    const control = new FakeControl(directory, port ?? (await freePort()));
    control.settings = typeof settings === 'function' ? settings(directory) : settings;
    control.routes = routes;
    control.services = services.map((service) => ({ ...service, socketPath: join(directory, service.socketPath) }));
    await control.listen();
    const ready = control.next((message) => message.type === 'ready');
    const args = orphanMs === undefined ? [] : [String(orphanMs)];
    control.worker = spawn(process.execPath, [WORKER, control.socketPath, ...args], {
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    });
    for (const stream of [control.worker.stdout, control.worker.stderr]) {
      stream?.on('data', (chunk: Buffer) => {
        control.output += chunk.toString();
      });
    }
    const exited = once(control.worker, 'exit').then(() =>
      Promise.reject(new Error(`worker ended: ${control.output}`)),
    );
    exited.catch((error: unknown) => {
      if (!control.ending) console.error(error);
    });
    await Promise.race([ready, exited]);
    return control;
  }

  async listen(): Promise<void> {
    this.#server = createServer((link) => {
      this.#link = link;
      link.on('error', () => {});
      createInterface({ input: link }).on('line', (line) => this.#onMessage(JSON.parse(line) as GatewayUpward));
      this.send({
        type: 'snapshot',
        settings: { domain: DOMAIN, listen: [{ host: '127.0.0.1', port: this.port }], ...this.settings },
        tls: testTls,
        services: this.services,
        routes: this.routes,
        workers: 1,
      });
    });
    await new Promise<void>((resolve) => this.#server!.listen(this.socketPath, resolve));
  }

  /** Goes away as a control process that is killed does. */
  async disappear(): Promise<void> {
    this.#link?.destroy();
    const server = this.#server;
    this.#server = undefined;
    if (server !== undefined) await new Promise((resolve) => server.close(resolve));
  }

  send(message: GatewayDownward): void {
    this.#link!.write(`${JSON.stringify(message)}\n`);
  }

  /** Sends a change and waits until the worker has applied it. */
  async apply(change: Change): Promise<void> {
    const sequence = ++this.#sequence;
    const applied = this.next((message) => message.type === 'applied' && message.sequence === sequence);
    this.send({ ...change, sequence });
    await applied;
  }

  next(matches: (message: GatewayUpward) => boolean): Promise<void> {
    return new Promise((resolve) => this.#waiting.push({ matches, resolve }));
  }

  #onMessage(message: GatewayUpward): void {
    this.messages.push(message);
    const index = this.#waiting.findIndex((one) => one.matches(message));
    if (index !== -1) this.#waiting.splice(index, 1)[0]!.resolve();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.ending = true;
    if (this.worker.exitCode === null && this.worker.signalCode === null) {
      const exited = once(this.worker, 'exit');
      this.worker.kill('SIGKILL');
      await exited;
    }
    await this.disappear();
    await rm(this.directory, { recursive: true, force: true });
  }
}
