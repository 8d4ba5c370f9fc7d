// What the agent has to say of its sandbox: GET /logs of the agent, asked by the host with its control token.

export const LOG_LEVELS = ['debug', 'info', 'warn', 'error'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

export interface LogEntry {
  /** Milliseconds since 1970. */
  readonly at: number;
  readonly level: LogLevel;
  /** Which part says it, such as `process`. */
  readonly logger: string;
  readonly message: string;
  readonly fields: Readonly<Record<string, string>>;
}

/** Entries that an agent keeps; older ones are forgotten. */
export const MAX_AGENT_ENTRIES = 500;
/** Characters of a message or a field. */
export const MAX_LOG_TEXT = 1024;
