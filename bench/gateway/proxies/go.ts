import { freePort } from '@sandport/server/gateway/testing/free-port';
import type { StartContestant } from '../contestant.ts';
import { ServerProcess } from '../processes.ts';

/** `httputil.ReverseProxy` of Go's standard library. */
export const startGo: StartContestant = async (site, cores, stack) => {
  const http = { host: '127.0.0.1', port: await freePort() };
  const https = { host: '127.0.0.1', port: await freePort() };
  const routes = [site.files, site.sink].map(({ hostName, host, port }) => `${hostName}=${host}:${port}`).join(',');
  const command = [
    ...[site.load, 'proxy', '-routes', routes, '-cert', site.certFile, '-key', site.keyFile],
    ...['-listen', `${http.host}:${http.port}`, '-listen-tls', `${https.host}:${https.port}`],
  ];
  const server = await ServerProcess.start(String(cores[0]), command, [http, https]);
  return { name: "Go's ReverseProxy", http, https, pids: [stack.use(server).pid] };
};
