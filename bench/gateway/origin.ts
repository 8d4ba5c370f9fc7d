// What the proxies lead to: nginx for what is downloaded, as the fastest there is, and a sink and echo of ours.
import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DOMAIN } from '@sandport/server/gateway/testing/fake-control';
import { freePort } from '@sandport/server/gateway/testing/free-port';
import { testTls } from '@sandport/server/gateway/testing/test-tls';
import type { Origin, Site } from './contestant.ts';
import { loadCores } from './cores.ts';
import { ServerProcess } from './processes.ts';

/** A loopback address that nothing else is likely to use: to the gateway it is that of a sandbox. */
const ADDRESS = '127.66.0.1';
export const SANDBOX_ID = 'bench';

async function freeOrigin(): Promise<Origin> {
  const port = await freePort(ADDRESS);
  return { hostName: `${port}-${SANDBOX_ID}.${DOMAIN}`, host: ADDRESS, port };
}

export async function startOrigin(stack: AsyncDisposableStack): Promise<Site> {
  const directory = await mkdtemp(join(tmpdir(), 'sandport-bench-'));
  stack.defer(() => rm(directory, { recursive: true, force: true }));
  const load = join(directory, 'load');
  const source = join(import.meta.dirname, 'load');
  execFileSync('go', ['build', '-o', load, '.'], { cwd: source, stdio: ['ignore', 'inherit', 'inherit'] });
  const certFile = join(directory, 'cert.pem');
  const keyFile = join(directory, 'key.pem');
  writeFileSync(certFile, testTls.cert);
  writeFileSync(keyFile, testTls.key, { mode: 0o600 });
  const files = await freeOrigin();
  const sink = await freeOrigin();

  const root = join(directory, 'files');
  mkdirSync(root);
  writeFileSync(join(root, '1k'), 'x'.repeat(1024));
  writeFileSync(join(root, '10m'), Buffer.alloc(10 * 1024 * 1024, 'x'));
  const config = join(directory, 'origin.conf');
  writeFileSync(
    config,
    `user root;
worker_processes 1;
pid ${directory}/origin.pid;
error_log stderr error;
events { worker_connections 16384; }
http {
  access_log off;
  keepalive_requests 1000000000;
  keepalive_timeout 1h;
  sendfile on;
  open_file_cache max=10;
  server { listen ${ADDRESS}:${files.port} backlog=4096; root ${root}; }
}
`,
  );
  stack.use(
    await ServerProcess.start(loadCores, ['nginx', '-c', config, '-p', directory, '-g', 'daemon off;'], [files]),
  );
  stack.use(await ServerProcess.start(loadCores, [load, 'origin', '-listen', `${sink.host}:${sink.port}`], [sink]));
  return { files, sink, directory, load, certFile, keyFile };
}
