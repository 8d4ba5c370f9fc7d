// How the gateway reaches a server that listens on a sandbox's loopback address only: it asks the agent, by an HTTP/1.1
// upgrade on the agent's port, to dial it there and to hand on bytes both ways.

export const TUNNEL_PATH = '/tunnel';
export const TUNNEL_PROTOCOL = 'sandport-loopback';
/** Header with the port of the server, 1 to 65535. */
export const TUNNEL_PORT_HEADER = 'x-tunnel-port';
/** Header with the token of `AgentInit.tunnelToken`; only the gateway has it besides. */
export const TUNNEL_TOKEN_HEADER = 'x-tunnel-token';
