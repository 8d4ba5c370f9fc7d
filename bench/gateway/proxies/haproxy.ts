import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { freePort } from '@sandport/server/gateway/testing/free-port';
import type { StartContestant } from '../contestant.ts';
import { ServerProcess } from '../processes.ts';

/** HAProxy with one thread, reusing connections to the origin for whatever client. */
export const startHaproxy: StartContestant = async (site, cores, stack) => {
  const http = { host: '127.0.0.1', port: await freePort() };
  const https = { host: '127.0.0.1', port: await freePort() };
  const pem = join(site.directory, 'haproxy.pem');
  writeFileSync(pem, readFileSync(site.certFile, 'utf8') + readFileSync(site.keyFile, 'utf8'), { mode: 0o600 });
  const map = join(site.directory, 'haproxy.map');
  const origins = [site.files, site.sink];
  writeFileSync(map, origins.map(({ hostName, port }) => `${hostName} at${port}\n`).join(''));
  const config = join(site.directory, 'haproxy.cfg');
  writeFileSync(
    config,
    `global
  nbthread 1
  maxconn 12000
  no strict-limits
defaults
  mode http
  maxconn 12000
  timeout connect 5s
  timeout client 1h
  timeout server 1h
  timeout tunnel 1h
  option forwardfor
  http-reuse always
frontend all
  bind ${http.host}:${http.port} backlog 4096
  bind ${https.host}:${https.port} ssl crt ${pem} alpn h2,http/1.1 backlog 4096
  http-request set-header X-Forwarded-Host %[req.hdr(host)]
  http-request set-header X-Forwarded-Port %[dst_port]
  http-request set-header X-Forwarded-Proto https if { ssl_fc }
  http-request set-header X-Forwarded-Proto http if !{ ssl_fc }
  use_backend %[req.hdr(host),field(1,:),lower,map(${map})]
${origins.map(({ host, port }) => `backend at${port}\n  server one ${host}:${port}`).join('\n')}
`,
  );
  const server = await ServerProcess.start(String(cores[0]), ['haproxy', '-db', '-f', config], [http, https]);
  return { name: 'HAProxy', http, https, pids: [stack.use(server).pid] };
};
