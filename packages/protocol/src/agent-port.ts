/** The port the agent listens on inside every sandbox. The `e2b` clients have it built in. */
export const AGENT_PORT = 49983;

/** The agent's protocol level as the clients' version gates read it (`envdVersion` on the wire). */
export const AGENT_PROTOCOL_VERSION = '0.6.13';

/** Until the agent belongs to a sandbox it answers here as `Start` of its process service does. */
export const REHEARSAL_PATH = '/rehearsal';

/** `GET`, with the control token: JSON, a list of `ConnectingSocket`. */
export const CONNECTING_PATH = '/connecting';

/** Of a TCP socket whose connection is being made: what tells it from others. At most 64 characters. */
export type ConnectingSocket = string;

/** Longest list of them. */
export const MAX_CONNECTING = 1000;
