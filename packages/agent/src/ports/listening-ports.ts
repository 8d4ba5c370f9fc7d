// What is open: the listening sockets, by port.
import { AGENT_PORT } from '@sandport/protocol/agent-port';
import type { ListeningPort } from '@sandport/protocol/ports-rpc';
import { findSocketOwners } from './socket-owners.ts';
import { isLoopback, type ListeningSocket, readIfThere, readSocketTable, SOCKET_TABLES } from './socket-table.ts';

/** Sockets by port, in the order of the ports, without the agent's own. */
export function listeningSockets(): Map<number, ListeningSocket[]> {
  const sockets = SOCKET_TABLES.flatMap((table) => readSocketTable(readIfThere(table)));
  const byPort = Map.groupBy(
    sockets.sort((left, right) => left.port - right.port),
    ({ port }) => port,
  );
  byPort.delete(AGENT_PORT);
  return byPort;
}

/** Looks up who listens, which costs a look at every process. */
export function describePorts(byPort: ReadonlyMap<number, readonly ListeningSocket[]>): ListeningPort[] {
  if (byPort.size === 0) return [];
  const owners = findSocketOwners([...byPort.values()].flat());
  return [...byPort].map(([port, sockets]) => {
    const addresses = [...new Set(sockets.map(({ address }) => address))];
    const owner = sockets.map(({ inode }) => owners.get(inode)).find((found) => found !== undefined);
    return { port, addresses, ...(addresses.every(isLoopback) && { loopbackOnly: true }), ...owner };
  });
}
