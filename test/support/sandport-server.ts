// A Sandport of its own for a test: own data directory, own ports, started as a user starts it, ended with the test.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import * as tls from 'node:tls';
import { fileURLToPath } from 'node:url';
import type { RuntimeName } from '@sandport/server/host/runtime/runtime';
import { freePort, leftovers, requireRoot } from './machine.ts';
import { purge } from './purge.ts';
import { Hopeless, waitFor } from './wait-for.ts';

const CLI = fileURLToPath(new URL('../../packages/cli/src/main.js', import.meta.url));
const START_MS = 60_000;
const STOP_MS = 90_000;
const RELEASE_MS = 10_000;
/**
 * A sandbox that is started ahead of time and not used costs a test much, and most under gVisor. So what is tested under both
 * runtimes is so with one that was started ahead, as users have them, and without any.
 */
const AHEAD: Readonly<Record<RuntimeName, readonly string[]>> = { runc: ['--warm', '1'], runsc: ['--warm', '0'] };

export interface Connection {
  readonly domain: string;
  readonly apiKey: string;
  readonly apiUrl: string;
  readonly caPath: string;
  readonly systemCaBundlePath: string;
}

export interface SandportServerOptions {
  /** Of an installation of the test's own. Default: the machine's. */
  readonly home?: string;
  /** Of the gateway. Default: both loopback addresses. */
  readonly addresses?: readonly string[];
  /** Of the data directory. */
  readonly parent?: string;
  /** Beside the environment of the test. */
  readonly env?: Readonly<Record<string, string>>;
}

export class SandportServer {
  readonly data: string;
  readonly #arguments: readonly string[];
  readonly #env: Readonly<Record<string, string>>;
  #process: ChildProcess | undefined;
  connection!: Connection;

  private constructor(data: string, args: readonly string[], env: Readonly<Record<string, string>>) {
    this.data = data;
    this.#arguments = args;
    this.#env = env;
  }

  /** Starts one and makes this process trust its authority. */
  static async start(
    runtime: RuntimeName,
    extra: readonly string[] = [],
    options: SandportServerOptions = {},
  ): Promise<SandportServer> {
    requireRoot();
    const { home, addresses = ['127.0.0.1', '[::1]'], parent = tmpdir() } = options;
    const data = await mkdtemp(join(parent, 'sandport-test-'));
    const port = await freePort();
    const args = ['up', '--data', data, '--runtime', runtime, '--gateways', '1', ...AHEAD[runtime]];
    const listen = addresses.flatMap((address) => ['--listen', `${address}:${port}`]);
    const env = { ...options.env, ...(home !== undefined && { SANDPORT_HOME: home }) };
    const server = new SandportServer(data, [...args, ...listen, ...extra], env);
    try {
      await server.launch();
    } catch (error) {
      await server.stop().catch(() => {});
      throw error;
    }
    trust(await readFile(server.connection.caPath, 'utf8'));
    return server;
  }

  /**
   * Starts the control process, also again after it was stopped or killed.
   *
   * @param more options for this time, after those that it was made with
   */
  async launch(more: readonly string[] = []): Promise<void> {
    const log = openSync(join(this.data, 'output.log'), 'a');
    const before = this.output().length;
    this.crashAt('');
    const env = { ...process.env, SANDPORT_FAULT_FILE: this.faultFile, ...this.#env };
    const child = spawn(process.execPath, [CLI, ...this.#arguments, ...more], { stdio: ['ignore', log, log], env });
    this.#process = child;
    await waitFor(
      'the server is ready',
      async () => {
        if (child.exitCode !== null)
          throw new Hopeless(`the server ended with code ${child.exitCode}: ${this.output()}`);
        if (!this.output().slice(before).includes('Sandport is running')) return undefined;
        this.connection = JSON.parse(await readFile(join(this.data, 'connection.json'), 'utf8')) as Connection;
        return true;
      },
      START_MS,
    );
  }

  /** Options for either SDK. */
  get options(): { apiKey: string; domain: string } {
    return { apiKey: this.connection.apiKey, domain: this.connection.domain };
  }

  /** Environment of a program that uses either SDK. */
  get environment(): Record<string, string> {
    const { apiKey, domain, caPath, systemCaBundlePath } = this.connection;
    return {
      E2B_API_KEY: apiKey,
      E2B_DOMAIN: domain,
      SANDPORT_API_KEY: apiKey,
      SANDPORT_DOMAIN: domain,
      NODE_EXTRA_CA_CERTS: caPath,
      SSL_CERT_FILE: systemCaBundlePath,
    };
  }

  get instance(): string {
    return (JSON.parse(readFileSync(join(this.data, 'identity.json'), 'utf8')) as { instance: string }).instance;
  }

  output(): string {
    return readFileSync(join(this.data, 'output.log'), 'utf8');
  }

  log(): string {
    return readFileSync(join(this.data, 'logs', 'server.log'), 'utf8');
  }

  /** Ends the control process alone, as a crash does. */
  async crash(): Promise<void> {
    const child = this.#process!;
    child.kill('SIGKILL');
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
  }

  /** Has the control process end at a fault point, as a crash does; the next launch has none. */
  crashAt(point: string): void {
    writeFileSync(this.faultFile, point);
  }

  get faultFile(): string {
    return join(this.data, 'fault');
  }

  /** Waits until the control process has ended by itself. */
  async ended(): Promise<void> {
    const child = this.#process!;
    await waitFor('the server has ended', () => child.exitCode !== null || child.signalCode !== null);
  }

  /** Stops it as Ctrl-C does. */
  async pause(): Promise<void> {
    const child = this.#process;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const timer = setTimeout(() => child.kill('SIGKILL'), STOP_MS);
    child.kill('SIGINT');
    await once(child, 'exit');
    clearTimeout(timer);
  }

  /** Starts a second one with the same arguments, and returns what it prints before it ends. */
  async runAgain(): Promise<string> {
    const child = spawn(process.execPath, [CLI, ...this.#arguments], {
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: START_MS,
    });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (output += chunk));
    await once(child, 'close');
    return output;
  }

  /** Stops it as Ctrl-C does, and says what it left on the machine. */
  async stop(): Promise<string[]> {
    await this.pause();
    if (!existsSync(join(this.data, 'identity.json'))) return [];
    const { instance } = this;
    let left = leftovers(instance, this.data);
    // The kernel lets go of a device a moment after its mount; of a busy machine, a long one.
    for (const deadline = Date.now() + RELEASE_MS; onlyDevices(left) && Date.now() < deadline; ) {
      await delay(50);
      left = leftovers(instance, this.data);
    }
    if (left.length > 0) purge(instance, this.data);
    await rm(this.data, { recursive: true, force: true });
    return left;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }
}

function onlyDevices(left: readonly string[]): boolean {
  return left.length > 0 && left.every((line) => line.startsWith('loop device: '));
}

function trust(authority: string): void {
  tls.setDefaultCACertificates([...tls.getCACertificates('default'), authority]);
}
