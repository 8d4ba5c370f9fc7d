// The TCP connections that programs of the sandbox are just making, which a snapshot has to wait for.
import { type ConnectingSocket, MAX_CONNECTING } from '@sandport/protocol/agent-port';
import { readConnecting, readIfThere, SOCKET_TABLES } from './socket-table.ts';

export function connectingSockets(): ConnectingSocket[] {
  return SOCKET_TABLES.flatMap((table) => readConnecting(readIfThere(table))).slice(0, MAX_CONNECTING);
}
