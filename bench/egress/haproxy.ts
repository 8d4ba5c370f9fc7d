// The peer of the proxy: HAProxy behind a redirection. It reads the name that a connection gives, as Host or SNI, lets one
// name through and passes all else of it on unread, to one host, which it neither looks up nor takes from the connection.
import { writeFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { ServerProcess } from '../gateway/processes.ts';
import type { BareNamespace } from './bare-namespace.ts';

const PORTS = new Map([
  [80, 9080],
  [443, 9443],
]);

/** @param bare whose connections it is to have */
export async function startHaproxy(
  bare: BareNamespace,
  options: { readonly directory: string; readonly host: string; readonly name: string },
): Promise<ServerProcess> {
  const { directory, host, name } = options;
  const addresses = [...PORTS.values()].map((port) => ({ host: bare.machine, port }));
  const config = join(directory, 'haproxy.cfg');
  await writeFile(
    config,
    `global
  maxconn 4096
defaults
  mode tcp
  timeout connect 5s
  timeout client 1m
  timeout server 1m
${[...PORTS]
  .map(
    ([from, to]) => `frontend on${from}
  bind ${bare.machine}:${to} backlog 4096
  tcp-request inspect-delay 5s
  tcp-request content accept if { ${from === 443 ? 'req.ssl_sni' : 'req.hdr(host)'} -i ${name} }
  tcp-request content reject if WAIT_END
  default_backend at${from}
backend at${from}
  server outside ${host}:${from}
`,
  )
  .join('')}`,
  );
  const cores = `0-${availableParallelism() - 1}`;
  const server = await ServerProcess.start(cores, ['haproxy', '-db', '-f', config], addresses);
  await bare.redirect(PORTS);
  return server;
}
