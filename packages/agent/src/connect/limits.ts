// What one RPC may cost the agent.

/** Longest message in bytes. SendInput carries a whole standard input of a few MiB, as base64. */
export const MAX_MESSAGE_BYTES = 16 * 1024 * 1024;

/** Values, fields and elements in one message: parsed, each takes far more memory than its bytes. */
export const MAX_MESSAGE_PARTS = 200_000;

/** Levels of a JSON message; the deepest that is known has five. */
export const MAX_MESSAGE_DEPTH = 100;

/** How long the body of a request with one message may take to arrive. */
export const BODY_TIMEOUT_MS = 5 * 60_000;

/** Seconds between keepalive events when the client names none (Keepalive-Ping-Interval). */
export const DEFAULT_KEEPALIVE_SECONDS = 90;
