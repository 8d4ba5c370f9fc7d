// What happened in the sandbox of late: commands and how they ended, failures of the agent itself. No output, and nothing
// of the environment, which holds secrets.
import { type LogEntry, type LogLevel, MAX_AGENT_ENTRIES, MAX_LOG_TEXT } from '@sandport/protocol/agent-log';

export class EventLog {
  #entries: LogEntry[] = [];
  #owner: string | undefined;

  add(level: LogLevel, logger: string, message: string, fields: Readonly<Record<string, string>> = {}): void {
    const short = Object.entries(fields).map(([name, text]) => [name, shorten(text)]);
    const entry = { at: Date.now(), level, logger, message: shorten(message), fields: Object.fromEntries(short) };
    if (this.#entries.push(entry) > MAX_AGENT_ENTRIES) this.#entries.shift();
  }

  /** The oldest first. */
  get entries(): readonly LogEntry[] {
    return this.#entries;
  }

  /** A sandbox that comes out of another's snapshot has a past of its own. */
  belongTo(sandboxId: string | undefined): void {
    if (this.#owner !== undefined && this.#owner !== sandboxId) this.#entries = [];
    this.#owner = sandboxId;
  }
}

function shorten(text: string): string {
  // A string that is a part of a longer one would keep it whole in memory.
  return text.length <= MAX_LOG_TEXT ? text : Buffer.from(`${text.slice(0, MAX_LOG_TEXT - 1)}…`).toString();
}
