import { createServer } from 'node:net';
import type { ListenAddress } from '@sandport/protocol/routes';

/**
 * Makes sure that nobody listens on the addresses. Workers share them (SO_REUSEPORT), and would silently share them
 * with a stranger of the same user too, who would then get a part of the connections.
 *
 * @throws with the address in its message when one cannot be listened on
 */
export async function assertUnused(addresses: readonly ListenAddress[]): Promise<void> {
  for (const { host, port } of addresses) {
    const server = createServer();
    await new Promise<void>((resolve, reject) => {
      server.once('error', (error: NodeJS.ErrnoException) =>
        reject(new Error(describe(host, port, error), { cause: error })),
      );
      server.listen({ host, port }, resolve);
    });
    await new Promise((resolve) => server.close(resolve));
  }
}

function describe(host: string, port: number, { code, message }: NodeJS.ErrnoException): string {
  const address = host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
  if (code === 'EADDRINUSE') return `${address} is in use by another program; stop it, or listen on another port`;
  if (code === 'EACCES') return `${address} needs privileges to listen on; use a port above 1023, or run as root`;
  if (code === 'EADDRNOTAVAIL') return `${host} is no address of this machine`;
  return `cannot listen on ${address}: ${message}`;
}
