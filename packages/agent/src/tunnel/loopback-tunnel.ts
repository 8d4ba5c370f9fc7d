// Dials servers on the sandbox's own loopback for the gateway, which cannot reach them: nothing polls, no helper per port.
import type { IncomingMessage, Server } from 'node:http';
import { connect, type Socket } from 'node:net';
import { parsePort } from '@sandport/protocol/host-name';
import {
  TUNNEL_PATH,
  TUNNEL_PORT_HEADER,
  TUNNEL_PROTOCOL,
  TUNNEL_TOKEN_HEADER,
} from '@sandport/protocol/loopback-tunnel';
import type { Secret } from '../access/secret.ts';

const ADDRESSES = ['127.0.0.1', '::1'] as const;
const CONNECT_MS = 5000;
const ACCEPTED = `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: ${TUNNEL_PROTOCOL}\r\n\r\n`;

/** @param token undefined as long as the host has not given one */
export function serveTunnels(server: Server, token: () => Secret | undefined): void {
  server.on('upgrade', (request: IncomingMessage, client: Socket, head: Buffer) => {
    client.on('error', () => client.destroy());
    if (request.url !== TUNNEL_PATH || request.headers.upgrade !== TUNNEL_PROTOCOL)
      return refuse(client, '404 Not Found');
    if (token()?.equals(request.headers[TUNNEL_TOKEN_HEADER]) !== true) return refuse(client, '401 Unauthorized');
    const port = parsePort(String(request.headers[TUNNEL_PORT_HEADER]));
    if (port === undefined || port === client.localPort) return refuse(client, '400 Bad Request');
    dial(port, ADDRESSES, client, head);
  });
}

/** Tries one address after the other: a server may listen on either. */
function dial(port: number, [host, ...others]: readonly string[], client: Socket, head: Buffer): void {
  if (host === undefined) {
    refuse(client, '502 Bad Gateway');
    return;
  }
  const server = connect({ host, port, allowHalfOpen: true, noDelay: true });
  const timer = setTimeout(() => server.destroy(new Error('no answer')), CONNECT_MS);
  const giveUp = (): void => {
    server.destroy();
  };
  client.once('close', giveUp);
  server.once('error', () => {
    clearTimeout(timer);
    client.off('close', giveUp);
    if (!client.destroyed) dial(port, others, client, head);
  });
  server.once('connect', () => {
    clearTimeout(timer);
    server.removeAllListeners('error');
    client.off('close', giveUp);
    client.setNoDelay(true);
    client.write(ACCEPTED);
    if (head.length > 0) server.write(head);
    join(client, server);
    join(server, client);
  });
}

/** Bytes, their end and a cut go from one to the other; a full writer holds back the reader. */
function join(from: Socket, to: Socket): void {
  from.pipe(to);
  from.on('error', () => to.resetAndDestroy());
  from.on('close', (failed) => {
    if (failed || !from.readableEnded) to.resetAndDestroy();
  });
}

function refuse(client: Socket, status: string): void {
  client.end(`HTTP/1.1 ${status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n`);
}
