// The agent's HTTP server: which request goes where, and who may ask.
import { createServer, type IncomingMessage, type Server, type ServerOptions, type ServerResponse } from 'node:http';
import { CONNECTING_PATH, REHEARSAL_PATH } from '@sandport/protocol/agent-port';
import { FILESYSTEM_SERVICE } from '@sandport/protocol/filesystem-rpc';
import { TUNNEL_PATH } from '@sandport/protocol/loopback-tunnel';
import { PORTS_SERVICE } from '@sandport/protocol/ports-rpc';
import { PROCESS_SERVICE } from '@sandport/protocol/process-rpc';
import { applyCors } from './access/cors.ts';
import type { SandboxDefaults } from './access/sandbox-defaults.ts';
import { ConnectRouter } from './connect/router.ts';
import { answerEmpty, answerError, answerJson } from './http/json-answer.ts';
import { Initialization } from './init/init-route.ts';
import type { Settings } from './init/settings.ts';
import { EventLog } from './logs/event-log.ts';
import { reportProblem, reportProblemsTo } from './logs/problems.ts';
import { logProcesses } from './logs/process-events.ts';
import { IdleMemory } from './memory/idle-memory.ts';
import { Metrics } from './metrics/metrics.ts';
import { loadedLibc } from './native/system.ts';
import { processService } from './process/service.ts';
import { serveTunnels } from './tunnel/loopback-tunnel.ts';

/** Longer than the gateway keeps an idle connection, so that it never writes to one that the agent is closing. */
const KEEP_ALIVE_MS = 640_000;
/** How long the head of a request may take to arrive. */
const HEAD_MS = 60_000;
const UNAUTHORIZED = 'unauthorized access, please provide a valid access token or method signing if supported';

/** @param root what stands before the files of the system, '/' in a sandbox */
export function createAgentServer(root: string): Server {
  const initialization = new Initialization(root);
  const log = new EventLog();
  reportProblemsTo(log);
  const metrics = new Metrics();
  const memory = new IdleMemory(loadedLibc);
  const defaults = (): SandboxDefaults => {
    const { settings } = initialization;
    if (settings === undefined) throw new Error('a method ran before /init');
    return { ...settings, root };
  };
  const rpc = new ConnectRouter({
    [PROCESS_SERVICE]: () => processService(defaults, logProcesses(log)),
    [FILESYSTEM_SERVICE]: async () => (await import('./filesystem/service.ts')).filesystemService(defaults),
    [PORTS_SERVICE]: async () => (await import('./ports/service.ts')).portsService(),
  });

  async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = pathOf(request.url ?? '/');
    if (applyCors(request, response)) return;
    if (path === '/health') return answerEmpty(response);
    if (path === '/init') {
      await initialization.serve(request, response);
      log.belongTo(initialization.settings?.environment.get('SANDPORT_SANDBOX_ID'));
      return;
    }
    // Of a sandbox that is nobody's yet.
    if (path === REHEARSAL_PATH && request.method === 'POST' && initialization.settings === undefined) {
      return (await import('./process/rehearsal.ts')).serveRehearsal(request, response, root);
    }
    // A sandbox that waits for its first use has nothing to give back.
    memory.noteActivity();
    response.once('close', () => memory.noteActivity());
    const { settings } = initialization;
    if (settings === undefined) return answerError(response, 503, 'the sandbox is starting');
    if (path === '/logs') {
      if (!initialization.allows(request)) return answerError(response, 401, UNAUTHORIZED);
      return answerJson(response, 200, log.entries);
    }
    if (path === CONNECTING_PATH) {
      if (!initialization.allows(request)) return answerError(response, 401, UNAUTHORIZED);
      return answerJson(response, 200, (await import('./ports/connecting-sockets.ts')).connectingSockets());
    }
    if (path === '/files')
      return (await import('./files/file-routes.ts')).serveFiles(request, response, settings, root);
    if (!mayEnter(settings, request)) return answerError(response, 401, UNAUTHORIZED);
    if (rpc.owns(path)) return rpc.serve(path, request, response);
    if (path === '/envs') return answerJson(response, 200, Object.fromEntries(settings.environment));
    if (path === '/metrics') return answerJson(response, 200, metrics.read());
    answerError(response, 404, `no route ${request.method} ${path}`);
  }

  const options: ServerOptions = {
    keepAliveTimeout: KEEP_ALIVE_MS,
    // A body may take as long as it likes; the default for the head would follow, and be no limit either.
    requestTimeout: 0,
    headersTimeout: HEAD_MS,
    // Offers of another protocol, such as h2c, may be passed over (RFC 9110, section 7.8).
    shouldUpgradeCallback: ({ url }) => url === TUNNEL_PATH,
  };
  const server = createServer(options, (request, response) => {
    // A client that goes away mid-answer is no failure of the agent.
    response.on('error', () => {});
    serve(request, response).catch((error: unknown) => {
      reportProblem('a request failed', error);
      if (!response.headersSent) answerError(response, 500, 'internal error of the agent');
      else response.destroy();
    });
  });
  serveTunnels(server, () => initialization.settings?.tunnelToken);
  // Finds clients that vanished without closing, which would hold back their command for ever.
  server.on('connection', (socket) => socket.setKeepAlive(true, 30_000));
  return server;
}

function mayEnter(settings: Settings, request: IncomingMessage): boolean {
  return settings.accessToken === undefined || settings.accessToken.equals(request.headers['x-access-token']);
}

function pathOf(url: string): string {
  const query = url.indexOf('?');
  return query === -1 ? url : url.slice(0, query);
}
