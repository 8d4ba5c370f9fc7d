// Options of every request to a sandbox's agent.

export interface RequestOptions {
  /** Milliseconds until the answer has to begin; 0 for no limit. Default: that of the sandbox object. */
  readonly requestTimeoutMs?: number | undefined;
  /** Ends the request early, with the signal's reason; a command that has started goes on without its output. */
  readonly signal?: AbortSignal | undefined;
}
