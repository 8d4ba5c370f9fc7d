// A running command and those who watch it. Output goes to every watcher; the slowest one holds the command back, so
// that no output piles up in the agent. Without a watcher output is thrown away.
import type { Readable, Writable } from 'node:stream';
import type { EndEvent, ProcessConfig } from '@sandport/protocol/process-rpc';
import { ConnectError } from '../connect/connect-error.ts';
import { endEvent } from './exit-status.ts';
import type { LaunchedProcess } from './launch.ts';
import type { InputKind, OutputKind, Signal, TerminalSize } from './messages.ts';

/** Watches one process. */
export interface Watcher {
  /** False while earlier output has not left yet. */
  readonly ready: boolean;
  output(kind: OutputKind, bytes: Buffer): void;
  /** The last call. */
  end(event: EndEvent): void;
}

/** Longest piece of output in one message. */
const MAX_CHUNK_BYTES: Readonly<Record<OutputKind, number>> = { stdout: 32 * 1024, stderr: 32 * 1024, pty: 16 * 1024 };
/** After a kill, and in a terminal, output that is still on its way is awaited no longer than this without a byte. */
const QUIET_AFTER_KILL_MS = 100;
/** Input that a process may leave unread before more is refused. */
const MAX_UNREAD_INPUT_BYTES = 32 * 1024 * 1024;

export class ManagedProcess {
  readonly config: ProcessConfig;
  readonly tag: string | undefined;
  readonly #process: LaunchedProcess;
  readonly #watchers = new Set<Watcher>();
  readonly #openOutputs = new Set<Readable>();
  readonly #onEnd: (process: ManagedProcess, event: EndEvent) => void;
  #exit: EndEvent | undefined;
  #end: EndEvent | undefined;
  #killed = false;
  #flowing = true;
  #quiet: NodeJS.Timeout | undefined;

  constructor(
    launched: LaunchedProcess,
    config: ProcessConfig,
    tag: string | undefined,
    onEnd: (process: ManagedProcess, event: EndEvent) => void,
  ) {
    this.#process = launched;
    this.config = config;
    this.tag = tag;
    this.#onEnd = onEnd;
    // A process that closes its stdin, or ends, makes the next write fail; the write's callback reports it.
    launched.input?.stream.on('error', () => {});
    for (const { kind, stream } of launched.outputs) this.#read(kind, stream);
    launched.onExit((status) => this.#exited(endEvent(status)));
  }

  get pid(): number {
    return this.#process.pid;
  }

  /** Whether the process itself still runs; its output may outlast it. */
  get running(): boolean {
    return this.#exit === undefined;
  }

  /** How it ended, once all output has been delivered. */
  get ended(): EndEvent | undefined {
    return this.#end;
  }

  watch(watcher: Watcher): void {
    if (this.#end !== undefined) {
      watcher.end(this.#end);
    } else {
      this.#watchers.add(watcher);
      this.balance();
    }
  }

  unwatch(watcher: Watcher): void {
    this.#watchers.delete(watcher);
    this.balance();
  }

  /** Lets output flow exactly when every watcher can take it. To be called when a watcher's readiness changes. */
  balance(): void {
    const flowing = [...this.#watchers].every((watcher) => watcher.ready);
    if (flowing === this.#flowing) return;
    this.#flowing = flowing;
    for (const output of this.#openOutputs) {
      if (flowing) output.resume();
      else output.pause();
    }
    this.#awaitQuiet();
  }

  /** False when the process has ended already. */
  signal(signal: Signal): boolean {
    if (!this.running || !this.#process.kill(signal)) return false;
    this.#killed = true;
    return true;
  }

  /** Resolves when the process' pipe or terminal has taken the bytes. */
  write(kind: InputKind, bytes: Buffer): Promise<void> {
    const input = this.#input(kind);
    if (input.writableLength + bytes.length > MAX_UNREAD_INPUT_BYTES) {
      throw new ConnectError('resource_exhausted', 'the process has not read its earlier input yet');
    }
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    input.write(bytes, (error) => {
      if (error) reject(new ConnectError('failed_precondition', 'the process has closed its input', { cause: error }));
      else resolve();
    });
    return promise;
  }

  closeStdin(): void {
    this.#input('stdin').end();
  }

  /** @throws ConnectError `failed_precondition` for a process without a terminal */
  resize(size: TerminalSize): void {
    const { resize } = this.#process;
    if (resize === undefined) throw new ConnectError('failed_precondition', 'the process has no terminal');
    resize(size);
  }

  #input(kind: InputKind): Writable {
    const { input, resize } = this.#process;
    if (kind === 'pty' && resize === undefined) {
      throw new ConnectError('failed_precondition', 'the process has no terminal; write to stdin');
    }
    if (kind === 'stdin' && resize !== undefined) {
      throw new ConnectError('failed_precondition', 'the process has a terminal in place of stdin; write to pty');
    }
    if (input === undefined) throw new ConnectError('failed_precondition', 'the process was started without stdin');
    if (!input.stream.writable) throw new ConnectError('failed_precondition', 'stdin is closed');
    return input.stream;
  }

  #read(kind: OutputKind, output: Readable): void {
    this.#openOutputs.add(output);
    output.on('data', (bytes: Buffer) => {
      this.#quiet?.refresh();
      const longest = MAX_CHUNK_BYTES[kind];
      for (let at = 0; at < bytes.length; at += longest) {
        const chunk = bytes.subarray(at, at + longest);
        for (const watcher of this.#watchers) watcher.output(kind, chunk);
      }
      this.balance();
    });
    output.on('error', () => {});
    output.once('close', () => {
      this.#openOutputs.delete(output);
      this.#endIfComplete();
    });
  }

  #exited(event: EndEvent): void {
    this.#exit = event;
    this.#process.input?.stream.destroy();
    this.#endIfComplete();
    this.#awaitQuiet();
  }

  /**
   * A child that inherited the output keeps it open. After a normal exit it is waited for; after a kill, and in a
   * terminal, which goes with the program that leads its session, it is not.
   */
  #awaitQuiet(): void {
    clearTimeout(this.#quiet);
    const waits = !this.#killed && this.#process.resize === undefined;
    if (waits || this.running || this.#end !== undefined || !this.#flowing) return;
    this.#quiet = setTimeout(() => this.#finish(), QUIET_AFTER_KILL_MS);
  }

  #endIfComplete(): void {
    if (this.#openOutputs.size === 0 && this.#exit !== undefined) this.#finish();
  }

  #finish(): void {
    if (this.#end !== undefined || this.#exit === undefined) return;
    clearTimeout(this.#quiet);
    this.#end = this.#exit;
    const watchers = [...this.#watchers];
    this.#watchers.clear();
    for (const output of this.#openOutputs) {
      // What still comes from inherited pipes is read and thrown away, so that its writers do not get SIGPIPE.
      if (this.#process.resize === undefined) output.removeAllListeners('data').resume();
      else output.destroy();
    }
    this.#onEnd(this, this.#end);
    for (const watcher of watchers) watcher.end(this.#end);
  }
}
