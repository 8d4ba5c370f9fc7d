// Connects to a server in a sandbox, through the agent's tunnel where the server listens on the sandbox's loopback only.

import { connect, type Socket } from 'node:net';
import { AGENT_PORT } from '@sandport/protocol/agent-port';
import { limits } from '../limits.ts';
import { TunnelAnswer, type TunnelTarget, tunnelRequest } from './loopback-tunnel.ts';
import type { UpstreamFailure } from './response-sink.ts';

export interface DialEvents {
  /** Whatever the server has said so far is in the socket, still to be read. */
  connected(socket: Socket): void;
  failed(failure: UpstreamFailure): void;
}

export interface Dial {
  /** Gives up; no event follows. */
  abort(): void;
}

export function dial(
  address: { readonly host: string; readonly port: number },
  tunnel: TunnelTarget | undefined,
  events: DialEvents,
): Dial {
  let socket: Socket;
  const attempt = (target: { host: string; port: number }, onConnect: () => void, onError: (code?: string) => void) => {
    socket = connect({ ...target, noDelay: true, keepAlive: true, keepAliveInitialDelay: limits.keepAliveProbe });
    socket.once('connect', onConnect);
    socket.once('error', (error: NodeJS.ErrnoException) => onError(error.code));
  };
  const succeed = () => {
    socket.removeAllListeners('error');
    socket.removeAllListeners('close');
    events.connected(socket);
  };
  const throughTunnel = (through: TunnelTarget) => {
    attempt(
      { host: through.host, port: AGENT_PORT },
      () => {
        const answer = new TunnelAnswer();
        const onData = (piece: Buffer) => {
          const rest = answer.read(piece);
          if (rest === 'incomplete') return;
          socket.off('data', onData);
          socket.pause();
          if (rest === 'refused') {
            socket.removeAllListeners('close');
            socket.destroy();
            events.failed('refused');
          } else {
            if (rest.length > 0) socket.unshift(rest);
            succeed();
          }
        };
        socket.on('data', onData);
        socket.once('close', () => events.failed('unreachable'));
        socket.write(tunnelRequest(through));
      },
      () => {
        socket.removeAllListeners('close');
        events.failed('unreachable');
      },
    );
  };
  attempt(address, succeed, (code) => {
    if (code !== 'ECONNREFUSED') events.failed('unreachable');
    else if (tunnel === undefined) events.failed('refused');
    else throughTunnel(tunnel);
  });
  return {
    abort: () => {
      socket.removeAllListeners();
      socket.on('error', () => {});
      socket.destroy();
    },
  };
}
