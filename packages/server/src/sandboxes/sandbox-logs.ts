// The log of each sandbox: what the server did with it, and what its agent says of the commands in it. The first is kept
// here in memory, the second in the sandbox.
import type { LogEntry, LogLevel } from '@sandport/protocol/agent-log';
import { isRunning, type RunningSandbox, type SandboxRecord } from './sandbox-record.ts';

/** Events that a sandbox's owner is told, and how grave they are. */
const TOLD: ReadonlyMap<string, LogLevel> = new Map([
  ['sandbox started', 'info'],
  ['sandbox adopted', 'info'],
  ['sandbox paused', 'info'],
  ['paused sandbox adopted', 'info'],
  ['sandbox resumed', 'info'],
  ['out of memory', 'warn'],
  ['sandbox not paused', 'error'],
  ['sandbox not resumed', 'error'],
  ['pause at the end time failed', 'error'],
]);
/** After which there is nothing to ask about any more. */
const LAST = new Set(['sandbox ended', 'sandbox removed']);
const MAX_EVENTS = 100;
/** Sandboxes of which events are kept; the one that was heard of first is forgotten. */
const MAX_SANDBOXES = 10_000;

export interface SandboxLogsOptions {
  readonly readAgentLog: (sandbox: RunningSandbox) => Promise<readonly LogEntry[]>;
  readonly now?: () => number;
}

export class SandboxLogs {
  readonly #options: SandboxLogsOptions;
  readonly #now: () => number;
  readonly #events = new Map<string, LogEntry[]>();

  constructor(options: SandboxLogsOptions) {
    this.#options = options;
    this.#now = options.now ?? Date.now;
  }

  /** Hears of everything that the core has to say. */
  note(name: string, fields: Readonly<Record<string, unknown>>): void {
    const { sandboxId, ...rest } = fields;
    if (typeof sandboxId !== 'string') return;
    if (LAST.has(name)) this.#events.delete(sandboxId);
    const level = TOLD.get(name);
    if (level === undefined) return;
    // Errors name places of the machine, which are the operator's business.
    const plain = Object.entries(rest).filter(([, value]) => ['string', 'number', 'boolean'].includes(typeof value));
    const told = Object.fromEntries(plain.map(([key, value]) => [key, String(value)]));
    const entry: LogEntry = { at: this.#now(), level, logger: 'sandbox', message: name, fields: told };
    this.#events.set(sandboxId, [...(this.#events.get(sandboxId) ?? []), entry].slice(-MAX_EVENTS));
    if (this.#events.size > MAX_SANDBOXES) this.#events.delete(this.#events.keys().next().value!);
  }

  /** The oldest first. Of a sandbox that is paused only what the server did with it. */
  async of(sandbox: SandboxRecord): Promise<LogEntry[]> {
    const said = isRunning(sandbox) ? await this.#askAgent(sandbox) : [];
    return [...(this.#events.get(sandbox.id) ?? []), ...said].sort((a, b) => a.at - b.at);
  }

  async #askAgent(sandbox: RunningSandbox): Promise<readonly LogEntry[]> {
    try {
      return await this.#options.readAgentLog(sandbox);
    } catch {
      const message = 'the agent does not tell what happened in the sandbox';
      return [{ at: this.#now(), level: 'warn', logger: 'sandbox', message, fields: {} }];
    }
  }
}
