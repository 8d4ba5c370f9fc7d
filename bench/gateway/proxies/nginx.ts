// nginx as its documentation has it for a reverse proxy, with connections to the origin kept open and bodies of requests
// streamed. Twice: with its own sizes of buffers, and with larger ones for what is large.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { freePort } from '@sandport/server/gateway/testing/free-port';
import type { StartContestant } from '../contestant.ts';
import { ServerProcess } from '../processes.ts';

const LARGE_BUFFERS =
  'proxy_buffer_size 16k; proxy_buffers 16 64k; proxy_busy_buffers_size 256k; client_body_buffer_size 256k;';

export const startNginx: StartContestant = (...args) => start('nginx', '', ...args);

export const startNginxLargeBuffers: StartContestant = (...args) =>
  start('nginx, large buffers', LARGE_BUFFERS, ...args);

async function start(
  name: string,
  buffers: string,
  ...[site, cores, stack]: Parameters<StartContestant>
): ReturnType<StartContestant> {
  const http = { host: '127.0.0.1', port: await freePort() };
  const https = { host: '127.0.0.1', port: await freePort() };
  const config = join(site.directory, `nginx-${http.port}.conf`);
  const upstreams = [site.files, site.sink].map(
    ({ host, port }) => `upstream at${port} { server ${host}:${port}; keepalive 64; keepalive_requests 1000000000; }`,
  );
  writeFileSync(
    config,
    `user root;
worker_processes 1;
pid ${config}.pid;
error_log stderr error;
events { worker_connections 32768; }
http {
  access_log off;
  keepalive_requests 1000000000;
  keepalive_timeout 1h;
  client_body_temp_path ${site.directory};
  proxy_temp_path ${site.directory};
  map $host $backend { ${[site.files, site.sink].map(({ hostName, port }) => `${hostName} at${port};`).join(' ')} }
  map $http_upgrade $connection_upgrade { default upgrade; '' ''; }
  ${upstreams.join('\n  ')}
  server {
    listen ${http.host}:${http.port} backlog=4096;
    listen ${https.host}:${https.port} ssl http2 backlog=4096;
    ssl_certificate ${site.certFile};
    ssl_certificate_key ${site.keyFile};
    ssl_protocols TLSv1.2 TLSv1.3;
    ssl_session_cache shared:all:10m;
    http2_max_requests 1000000000;
    client_max_body_size 0;
    location / {
      proxy_pass http://$backend;
      proxy_http_version 1.1;
      proxy_request_buffering off;
      ${buffers}
      proxy_set_header Host $host;
      proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Connection $connection_upgrade;
      proxy_set_header X-Forwarded-For $remote_addr;
      proxy_set_header X-Forwarded-Proto $scheme;
      proxy_set_header X-Forwarded-Host $host;
      proxy_set_header X-Forwarded-Port $server_port;
    }
  }
}
`,
  );
  const command = ['nginx', '-c', config, '-p', site.directory, '-g', 'daemon off;'];
  const server = stack.use(await ServerProcess.start(String(cores[0]), command, [http, https]));
  return { name, http, https, pids: [server.pid] };
}
