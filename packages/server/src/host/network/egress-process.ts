// The control process's side of the egress process: starts it, adopts the one of an earlier control process, feeds it
// rules, and starts another when it ends. Without it nothing that needs it gets out.
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync, rmSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { fileURLToPath } from 'node:url';
import { isDeepStrictEqual } from 'node:util';
import type {
  EgressDone,
  EgressFeed,
  EgressHello,
  EgressPorts,
  EgressRequest,
  EgressSettings,
  EgressTraffic,
  SandboxReport,
} from '../../egress/messages.ts';
import { findProcesses, signal, untilGone } from '../../process-identity.ts';
import type { EgressPolicy } from './egress-policy.ts';

const WORKER = fileURLToPath(new URL('../../egress/worker.ts', import.meta.url));
/**
 * V8 would make what survives a few collections at its place of birth in the old space, where it keeps all alive that it
 * points to until the next full collection: of ended connections, one after the other, for good.
 */
const V8_OPTIONS = ['--no-allocation-site-pretenuring'];
const START_MS = 20_000;
const ANSWER_MS = 2000;
/** For rules, after which a process is taken for one that hangs: it is replaced, so that it does not go on with old ones. */
const CONFIRM_MS = 5000;
/** Until another process knows the rules. */
const RENEWAL_MS = 10_000;
const STOP_MS = 2000;
const POLL_MS = 10;
const FIRST_BACKOFF_MS = 100;
const LONGEST_BACKOFF_MS = 10_000;

export interface EgressProcessOptions {
  readonly socketPath: string;
  readonly settings: EgressSettings;
  readonly logPath: string;
  /** Directory for what Node compiles. */
  readonly compileCache?: string | undefined;
  /** Called when a process that had to be started again listens elsewhere. */
  readonly onPorts: (ports: EgressPorts) => Promise<void>;
  readonly onError: (event: string, error: unknown) => void;
}

/** Once there is another process, or none in time. */
type Renewed = (error?: Error) => void;
type Unnumbered<Message> = Message extends unknown ? Omit<Message, 'sequence'> : never;

export class EgressProcess {
  readonly #options: EgressProcessOptions;
  readonly #feeds = new Map<string, EgressFeed>();
  readonly #waiting = new Map<number, (answer: EgressDone | undefined) => void>();
  readonly #renewals = new Set<Renewed>();
  #link: Socket | undefined;
  #ports: EgressPorts = { dns: 0, proxy: 0 };
  #sequence = 0;
  #backoff = FIRST_BACKOFF_MS;
  #retry: NodeJS.Timeout | undefined;
  #stopped = false;

  constructor(options: EgressProcessOptions) {
    this.#options = options;
  }

  /** Returns when it listens and knows the rules. */
  async start(feeds: readonly EgressFeed[]): Promise<EgressPorts> {
    for (const feed of feeds) this.#feeds.set(feed.address, feed);
    const adopted = await this.#connect().catch(() => undefined);
    if (adopted === undefined || !isDeepStrictEqual(adopted.settings, this.#options.settings)) {
      await this.#endProcesses();
      await this.#spawn();
    } else {
      this.#ports = adopted.ports;
      await this.#sendSnapshot().catch(async () => {
        await this.#endProcesses();
        await this.#spawn();
      });
    }
    return this.#ports;
  }

  policyOf(address: string): EgressPolicy | undefined {
    return this.#feeds.get(address)?.policy;
  }

  /**
   * Resolves when a process applies the rules to new connections: this one, or the next where this one ends or hangs.
   * Until then what needs the process is refused. Rejects after 15 s at the latest.
   */
  async set(feed: EgressFeed): Promise<void> {
    this.#feeds.set(feed.address, feed);
    if (this.#stopped || (await this.#confirmed({ type: 'set', sandbox: feed }))) return;
    await new Promise<void>((resolve, reject) => {
      const renewed: Renewed = (error) => {
        clearTimeout(timer);
        this.#renewals.delete(renewed);
        if (error === undefined) resolve();
        else reject(error);
      };
      const timer = setTimeout(() => renewed(new Error('the egress process does not answer')), RENEWAL_MS);
      this.#renewals.add(renewed);
    });
  }

  async delete(address: string): Promise<void> {
    if (this.#feeds.delete(address)) await this.#ask({ type: 'delete', address }, ANSWER_MS);
  }

  /** By address of the slot. */
  async traffic(): Promise<Readonly<Record<string, EgressTraffic>>> {
    const answer = await this.#ask({ type: 'traffic' }, ANSWER_MS);
    return (answer?.result ?? {}) as Record<string, EgressTraffic>;
  }

  /** @param addresses whose names, as the sandbox came to know them, are wanted */
  async report(address: string, addresses: readonly string[]): Promise<SandboxReport | undefined> {
    const answer = await this.#ask({ type: 'report', address, addresses }, ANSWER_MS);
    return answer?.result as SandboxReport | undefined;
  }

  /** Ends the process, but with `keep`: then it goes on with the rules that it knows. */
  async stop({ keep }: { readonly keep: boolean }): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#retry);
    this.#renew(new Error('the server is stopping'));
    if (!keep) await this.#endProcesses();
    this.#link?.destroy();
    if (!keep) rmSync(this.#options.socketPath, { force: true });
  }

  async #spawn(): Promise<void> {
    const child = this.#launch(this.#ports);
    let hello = await this.#awaitHello(child).catch(() => undefined);
    if (hello === undefined && this.#ports.dns !== 0) {
      // Another program may have taken the ports in the meantime.
      hello = await this.#awaitHello(this.#launch({ dns: 0, proxy: 0 }));
    }
    if (hello === undefined) throw new Error(`the egress process cannot start; ${this.#options.logPath} says why`);
    const isElsewhere = this.#ports.dns !== 0 && !isDeepStrictEqual(this.#ports, hello.ports);
    this.#ports = hello.ports;
    await this.#sendSnapshot();
    if (isElsewhere) await this.#options.onPorts(hello.ports);
  }

  #launch(ports: EgressPorts): ChildProcess {
    const { socketPath, settings, logPath, compileCache } = this.#options;
    rmSync(socketPath, { force: true });
    const log = openSync(logPath, 'a', 0o600);
    try {
      const args = [...V8_OPTIONS, WORKER, socketPath, JSON.stringify(settings), JSON.stringify(ports)];
      // A group of its own: what ends the control process's group leaves it alone.
      const env = { ...process.env, ...(compileCache !== undefined && { NODE_COMPILE_CACHE: compileCache }) };
      const child = spawn(process.execPath, args, { detached: true, env, stdio: ['ignore', log, log] });
      child.on('error', (error) => this.#options.onError('egress process not started', error));
      child.unref();
      return child;
    } finally {
      closeSync(log);
    }
  }

  async #awaitHello(child: ChildProcess): Promise<EgressHello> {
    const deadline = performance.now() + START_MS;
    for (;;) {
      const hello = await this.#connect().catch(() => undefined);
      if (hello !== undefined) return hello;
      if (child.exitCode !== null || child.signalCode !== null || performance.now() > deadline) {
        child.kill('SIGKILL');
        throw new Error('the egress process has ended');
      }
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
  }

  /** Resolves with what the process says of itself. */
  #connect(): Promise<EgressHello> {
    return new Promise((resolve, reject) => {
      const socket = connect(this.#options.socketPath);
      const timer = setTimeout(() => socket.destroy(new Error('no hello')), ANSWER_MS);
      socket.setEncoding('utf8');
      let rest = '';
      socket.on('data', (text: string) => {
        const lines = (rest + text).split('\n');
        rest = lines.pop() ?? '';
        for (const line of lines) {
          const message = JSON.parse(line) as EgressHello | EgressDone;
          if (message.type === 'hello') {
            clearTimeout(timer);
            this.#link = socket;
            resolve(message);
          } else {
            this.#waiting.get(message.sequence)?.(message);
          }
        }
      });
      socket.on('error', reject);
      socket.on('close', () => {
        clearTimeout(timer);
        reject(new Error('the egress process closed the connection'));
        if (this.#link === socket) this.#onLost();
      });
    });
  }

  #onLost(): void {
    this.#link = undefined;
    for (const resolve of this.#waiting.values()) resolve(undefined);
    if (this.#stopped) return;
    this.#options.onError('egress process lost', new Error('it ended, or closed its connection'));
    this.#retry = setTimeout(() => {
      this.#endProcesses()
        .then(() => this.#spawn())
        .then(() => {
          this.#backoff = FIRST_BACKOFF_MS;
        })
        .catch((error: unknown) => {
          this.#options.onError('egress process not started', error);
          this.#backoff = Math.min(2 * this.#backoff, LONGEST_BACKOFF_MS);
          if (!this.#stopped && this.#link === undefined) this.#onLost();
        });
    }, this.#backoff);
  }

  async #sendSnapshot(): Promise<void> {
    const known = await this.#confirmed({ type: 'snapshot', sandboxes: [...this.#feeds.values()] });
    if (!known) throw new Error('the egress process did not take the rules');
    this.#renew();
  }

  #renew(error?: Error): void {
    for (const renewed of this.#renewals) renewed(error);
  }

  /** Whether the process has taken rules. One that does not is given up. */
  async #confirmed(request: Unnumbered<EgressRequest>): Promise<boolean> {
    const link = this.#link;
    if ((await this.#ask(request, CONFIRM_MS)) !== undefined) return true;
    link?.destroy();
    return false;
  }

  /** Undefined when there is no answer in time. */
  #ask(request: Unnumbered<EgressRequest>, ms: number): Promise<EgressDone | undefined> {
    const link = this.#link;
    if (link === undefined || !link.writable) return Promise.resolve(undefined);
    const sequence = ++this.#sequence;
    return new Promise((resolve) => {
      const finish = (answer: EgressDone | undefined): void => {
        clearTimeout(timer);
        this.#waiting.delete(sequence);
        resolve(answer);
      };
      const timer = setTimeout(() => finish(undefined), ms);
      this.#waiting.set(sequence, finish);
      link.write(`${JSON.stringify({ ...request, sequence })}\n`);
    });
  }

  /** Of this instance, whoever started them: one that does not answer must not go on with old rules. */
  async #endProcesses(): Promise<void> {
    const link = this.#link;
    this.#link = undefined;
    link?.destroy();
    const found = findProcesses((args) => args.includes(WORKER) && args.includes(this.#options.socketPath));
    for (const identity of found) signal(identity, 'SIGTERM');
    for (const identity of await untilGone(found, STOP_MS)) signal(identity, 'SIGKILL');
    await untilGone(found, STOP_MS);
  }
}
