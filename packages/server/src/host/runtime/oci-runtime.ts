// What runsc and runc have in common: the command line of an OCI runtime (run, restore, kill, delete, list).
import { mkdir, open, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { findProcesses, identify, type ProcessIdentity, signal, untilGone } from '../../process-identity.ts';
import { CommandError, type CommandOptions, runCommand } from '../run-command.ts';
import type { ContainerState } from './runtime.ts';

/** For tests of a runtime that hangs: how long all of its commands have, in milliseconds. */
const { SANDPORT_RUNTIME_TIMEOUT_MS: TEST_MS } = process.env;
const upTo = (ms: number): number => (TEST_MS === undefined ? ms : Number(TEST_MS));
/** A hung runtime must not hold a sandbox's end for ever. */
const SHORT_MS = upTo(20_000);
const RUN_MS = upTo(60_000);
/** Gigabytes of memory may have to be written. */
const CHECKPOINT_MS = upTo(300_000);
const ORPHAN_MS = 30_000;

interface ListedContainer {
  readonly id: string;
  readonly pid: number;
  readonly status: string;
}

export class OciCommands {
  readonly #binary: string;
  readonly #globalFlags: readonly string[];
  readonly #stateDirectory: string;
  /** Put before the command that creates a container, such as a program that prepares its mount namespace. */
  readonly #launcher: readonly string[];

  constructor(options: {
    binary: string;
    globalFlags: readonly string[];
    /** The runtime's own state directory, one for each instance of Sandport. */
    stateDirectory: string;
    launcher?: readonly string[];
  }) {
    this.#binary = options.binary;
    this.#globalFlags = options.globalFlags;
    this.#stateDirectory = options.stateDirectory;
    this.#launcher = options.launcher ?? [];
  }

  /** Returns the process whose end is the container's end. */
  run(
    id: string,
    bundle: string,
    config: object,
    flags: readonly string[] = [],
    runFlags: readonly string[] = [],
  ): Promise<ProcessIdentity> {
    return this.#start('run', id, bundle, config, flags, ['--detach', ...runFlags]);
  }

  /** @param config none where `create` has made the container */
  restore(
    id: string,
    bundle: string,
    config: object | undefined,
    flags: readonly string[],
    restoreFlags: readonly string[],
  ): Promise<ProcessIdentity> {
    return this.#start('restore', id, bundle, config, flags, ['--detach', ...restoreFlags]);
  }

  /** Makes a container in which nothing runs yet. */
  create(id: string, bundle: string, config: object, flags: readonly string[]): Promise<ProcessIdentity> {
    return this.#start('create', id, bundle, config, flags, []);
  }

  async #start(
    verb: 'run' | 'restore' | 'create',
    id: string,
    bundle: string,
    config: object | undefined,
    flags: readonly string[],
    verbFlags: readonly string[],
  ): Promise<ProcessIdentity> {
    await mkdir(this.#stateDirectory, { recursive: true, mode: 0o700 });
    if (config !== undefined) {
      await writeFile(join(bundle, 'config.json'), JSON.stringify(config), { mode: 0o600 });
    }
    // The runtime's children outlive it and hold its outputs open, so these are a file and not a pipe.
    const log = await open(join(bundle, `${verb}.log`), 'w+', 0o600);
    const pidFile = join(bundle, 'pid');
    try {
      const [file, ...args] = [
        ...this.#launcher,
        this.#binary,
        ...this.#arguments(flags),
        verb,
        '--pid-file',
        pidFile,
        ...verbFlags,
        '--bundle',
        bundle,
        id,
      ];
      await runCommand(file!, args, { timeoutMs: RUN_MS, outputFd: log.fd });
      const identity = identify(Number(await readFile(pidFile, 'utf8')));
      if (identity === undefined) throw new Error('its first process has ended at once');
      return identity;
    } catch (error) {
      const { buffer, bytesRead } = await log.read(Buffer.alloc(4096), 0, 4096, 0);
      throw new CommandError(
        `${this.#binary} ${verb} failed: ${buffer.toString('utf8', 0, bytesRead).trim() || String(error)}`,
        error instanceof CommandError ? error.exitCode : null,
        { cause: error },
      );
    } finally {
      await log.close();
    }
  }

  async list(): Promise<ContainerState[]> {
    await mkdir(this.#stateDirectory, { recursive: true, mode: 0o700 });
    const text = await this.#command(['list', '--format', 'json']);
    const containers = (JSON.parse(text || 'null') ?? []) as ListedContainer[];
    return containers.map(({ id, pid, status }) => ({ id, pid, running: ['running', 'paused'].includes(status) }));
  }

  async pause(id: string): Promise<void> {
    await this.#command(['pause', id]);
  }

  /** No error for one that is not paused. */
  async resume(id: string): Promise<void> {
    await this.#command(['resume', id]).catch((error: unknown) => {
      if (!(error instanceof CommandError && /not paused/i.test(error.message))) throw error;
    });
  }

  /** @param flags come behind the verb */
  async checkpoint(id: string, flags: readonly string[]): Promise<void> {
    await this.#command(['checkpoint', ...flags, id], { timeoutMs: CHECKPOINT_MS });
  }

  async endOrphans(): Promise<void> {
    const verbs = ['run', 'create', 'restore', 'checkpoint'];
    const orphans = findProcesses(
      (args) => args.includes(this.#stateDirectory) && verbs.some((verb) => args.includes(verb)),
    );
    for (const orphan of orphans) signal(orphan, 'SIGKILL');
    // One that the kernel does not let go of ends when it does; nobody waits for it.
    await untilGone(orphans, ORPHAN_MS);
  }

  async delete(id: string): Promise<void> {
    await this.#command(['delete', '--force', id], { background: true }).catch(ignoreMissing);
  }

  async kill(id: string): Promise<void> {
    await this.#command(['kill', id, 'KILL']).catch(ignoreMissing);
  }

  /** Removes the whole state directory; only when it holds nothing. */
  async dispose(): Promise<void> {
    await rm(this.#stateDirectory, { recursive: true, force: true });
  }

  #command(args: readonly string[], options?: CommandOptions): Promise<string> {
    return runCommand(this.#binary, [...this.#arguments([]), ...args], { timeoutMs: SHORT_MS, ...options });
  }

  #arguments(extra: readonly string[]): string[] {
    return ['--root', this.#stateDirectory, ...this.#globalFlags, ...extra];
  }
}

/** Ending what has already ended is no failure; the words are the runtimes' own. */
function ignoreMissing(error: unknown): void {
  if (error instanceof CommandError && /does not exist|not running|already|no such|not found/i.test(error.message))
    return;
  throw error;
}
