// The gateway's side of the agent's tunnel: what is said before the request, and the answer that has to precede the response.

import {
  TUNNEL_PATH,
  TUNNEL_PORT_HEADER,
  TUNNEL_PROTOCOL,
  TUNNEL_TOKEN_HEADER,
} from '@sandport/protocol/loopback-tunnel';

export interface TunnelTarget {
  /** Address of the sandbox, where its agent listens. */
  readonly host: string;
  /** Port of the server on the sandbox's loopback. */
  readonly port: number;
  readonly token: string;
}

/** The agent's answer is one short head; more is not the agent. */
const MAX_ANSWER = 1024;
const END = Buffer.from('\r\n\r\n');
const ACCEPTED = 'HTTP/1.1 101 ';

export function tunnelRequest({ port, token }: TunnelTarget): string {
  return [
    `GET ${TUNNEL_PATH} HTTP/1.1`,
    'Host: agent',
    'Connection: Upgrade',
    `Upgrade: ${TUNNEL_PROTOCOL}`,
    `${TUNNEL_PORT_HEADER}: ${port}`,
    `${TUNNEL_TOKEN_HEADER}: ${token}`,
    '',
    '',
  ].join('\r\n');
}

/** Reads the agent's answer, in whatever pieces it comes. */
export class TunnelAnswer {
  #received: Buffer = Buffer.alloc(0);

  /** @returns what follows the answer, 'incomplete', or 'refused' */
  read(piece: Buffer): Buffer | 'incomplete' | 'refused' {
    this.#received = Buffer.concat([this.#received, piece]);
    const end = this.#received.indexOf(END);
    if (end === -1) return this.#received.length > MAX_ANSWER ? 'refused' : 'incomplete';
    if (!this.#received.toString('latin1', 0, ACCEPTED.length).startsWith(ACCEPTED)) return 'refused';
    return this.#received.subarray(end + END.length);
  }
}
