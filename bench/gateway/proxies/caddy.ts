import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { freePort } from '@sandport/server/gateway/testing/free-port';
import type { StartContestant } from '../contestant.ts';
import { ServerProcess } from '../processes.ts';

/** Caddy, which sees one processor by its affinity. */
export const startCaddy: StartContestant = async (site, cores, stack) => {
  const http = { host: '127.0.0.1', port: await freePort() };
  const https = { host: '127.0.0.1', port: await freePort() };
  const config = join(site.directory, 'Caddyfile');
  const origins = [site.files, site.sink];
  writeFileSync(
    config,
    `{
  admin off
  auto_https off
  default_sni ${site.files.hostName}
  log {
    level ERROR
  }
}
(routes) {
  map {host} {upstream} {
${origins.map(({ hostName, host, port }) => `    ${hostName} ${host}:${port}`).join('\n')}
  }
  reverse_proxy {upstream} {
    transport http {
      keepalive_idle_conns_per_host 1024
    }
  }
}
http://:${http.port} {
  bind ${http.host}
  import routes
}
https://:${https.port} {
  bind ${https.host}
  tls ${site.certFile} ${site.keyFile}
  import routes
}
`,
  );
  const command = ['env', `HOME=${site.directory}`, 'caddy', 'run', '--config', config, '--adapter', 'caddyfile'];
  const server = await ServerProcess.start(String(cores[0]), command, [http, https]);
  return { name: 'Caddy', http, https, pids: [stack.use(server).pid] };
};
