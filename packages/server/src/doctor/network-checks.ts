// Packet filter, forwarding, ports, and whether the names of sandboxes resolve.
import { lookup } from 'node:dns/promises';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { formatHostName } from '@sandport/protocol/host-name';
import { GATEWAY_SOCKET } from '../data-directory.ts';
import { WorkerFile } from '../gateway-supervisor/worker-file.ts';
import { runCommand } from '../host/run-command.ts';
import { isRunning } from '../process-identity.ts';
import { isLoopbackDomain, type Settings } from '../settings.ts';
import { type Check, Complaint } from './check.ts';

const FORWARDING = '/proc/sys/net/ipv4/ip_forward';

export const networkChecks: readonly Check[] = [
  {
    name: 'packet filter',
    async run() {
      await runCommand('nft', ['list', 'tables']).catch((error: Error) => {
        throw new Complaint(`nft does not work: ${error.message}`, 'modprobe nf_tables, or apt-get install nftables');
      });
      return 'nft works';
    },
  },
  {
    name: 'forwarding',
    async run() {
      if ((await readFile(FORWARDING, 'utf8')).trim() === '1') return 'on';
      // Without it sandboxes work and reach nothing outside; turning it on is what a start does.
      await runCommand('sysctl', ['-qw', 'net.ipv4.ip_forward=1']).catch((error: Error) => {
        throw new Complaint(`IPv4 forwarding is off: ${error.message}`, 'sysctl -w net.ipv4.ip_forward=1', {
          onlyWarning: true,
        });
      });
      return 'turned on';
    },
  },
  {
    name: 'ports',
    async run(settings) {
      for (const { host, port } of settings.listen) await checkPort(settings, host, port);
      return settings.listen
        .map(({ host, port }) => (host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`))
        .join(', ');
    },
  },
  {
    name: 'name resolution',
    async run({ domain }) {
      const name = formatHostName(3000, 'example', domain);
      try {
        const addresses = await lookup(name, { all: true });
        return `${name} is ${addresses.map(({ address }) => address).join(', ')}`;
      } catch {
        throw new Complaint(
          `${name} does not resolve on this machine`,
          isLoopbackDomain(domain)
            ? 'apt-get install libnss-myhostname'
            : `add a DNS record *.${domain} with the address of this machine`,
          { onlyWarning: true },
        );
      }
    },
  },
];

/** A port that this data directory's own gateways hold is as good as a free one. */
async function checkPort(settings: Settings, host: string, port: number): Promise<void> {
  const server = createServer();
  const error = await new Promise<NodeJS.ErrnoException | undefined>((resolve) => {
    server.once('error', resolve);
    server.listen({ host, port }, () => server.close(() => resolve(undefined)));
  });
  if (error === undefined || error.code === 'EADDRNOTAVAIL') {
    if (error === undefined) return;
    throw new Complaint(`the address ${host} is not on this machine`, 'give another --listen ADDRESS:PORT');
  }
  if (error.code === 'EADDRINUSE' && heldByOwnGateways(settings)) return;
  throw new Complaint(
    `${host}:${port} cannot be used (${error.code})`,
    'end what listens there, or give another --listen ADDRESS:PORT',
  );
}

function heldByOwnGateways(settings: Settings): boolean {
  const records = new WorkerFile(join(settings.data, GATEWAY_SOCKET)).read();
  return records?.workers.some(isRunning) ?? false;
}
