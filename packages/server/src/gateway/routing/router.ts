// Decides by a request's own host name where it goes. Knows nothing of connections, and remembers nothing about them.

import { AGENT_PORT } from '@sandport/protocol/agent-port';
import { type HostName, isSandboxId, parseHostName, parsePort } from '@sandport/protocol/host-name';
import { checkAccess } from '../access/check-access.ts';
import { isTrafficToken } from '../access/traffic-token.ts';
import type { Refusal, Reply } from '../answers/refusal.ts';
import { wantsHtml } from '../answers/wants-html.ts';
import type { Arrival } from '../context.ts';
import { publicScheme } from '../forwarded.ts';
import { cleanPath, decodePath, isControlRoute } from './control-routes.ts';
import type { RequestFacts } from './request-facts.ts';
import type { Destination, Held, RouteEntry, RouteTable } from './route-table.ts';
import type { WaitingRoom } from './waiting-room.ts';

const HEALTH_PATH = '/health';
const SHARED_LABEL = 'sandbox';
const ID_HEADER = 'e2b-sandbox-id';
const AGENT_TOKEN_HEADER = 'x-access-token';
const PORT_HEADER = 'e2b-sandbox-port';

const INVALID_HOST: Refusal = { code: 'invalid_host', reason: 'host' };
const INVALID_ID: Refusal = { code: 'invalid_host', reason: 'sandbox-id' };
const INVALID_PORT: Refusal = { code: 'invalid_sandbox_port' };

/** How many host names are remembered with what they mean, which depends on the name alone. */
const MEMO_SIZE = 4096;

export class Router {
  readonly #table: RouteTable;
  readonly #names = new Map<string, HostName>();

  readonly #now: () => number;

  constructor(table: RouteTable, now: () => number = Date.now) {
    this.#table = table;
    this.#now = now;
  }

  /** @param arrival without it the request counts as one over TLS */
  route(request: RequestFacts, arrival?: Arrival): Destination | Held | Reply {
    if (this.#table.redirectsToHttps && arrival !== undefined && !arrival.secure) {
      const location = this.#secureLocation(request, arrival);
      if (location !== undefined) return { location, permanent: true };
    }
    if (arrival?.crowded)
      return { code: 'too_many_client_connections', limit: this.#table.limits.connectionsPerClient };
    const name = this.#read(request.host);
    if (name.kind === 'sandbox') return this.#toSandbox(request, name.sandboxId, name.port, 'own');
    if (isHealthCheck(request, name)) return { healthy: true };
    if (name.kind === 'local') return this.#byHeaders(request, 'local');
    if (name.kind === 'service') {
      if (name.label === SHARED_LABEL) return this.#byHeaders(request, 'shared');
      return this.#table.service(name.label) ?? INVALID_HOST;
    }
    if (name.reason === 'sandbox-port') return INVALID_PORT;
    return name.reason === 'sandbox-id' ? INVALID_ID : INVALID_HOST;
  }

  /** The same address with HTTPS, for names that the certificate is for. */
  #secureLocation(request: RequestFacts, arrival: Arrival): string | undefined {
    if (publicScheme(arrival, request) === 'https') return undefined;
    const { kind } = this.#read(request.host);
    const host = request.host.toLowerCase().replace(/:80$/, '');
    if (kind !== 'sandbox' && kind !== 'service') return undefined;
    if (!host.replace(/\.?(?::[0-9]+)?$/, '').endsWith(`.${this.#table.domain}`)) return undefined;
    return `https://${host}${request.path().replace(/^\*$/, '/')}`;
  }

  #read(host: string): HostName {
    let name = this.#names.get(host);
    if (name === undefined) {
      name = parseHostName(host, this.#table.domain);
      if (this.#names.size >= MEMO_SIZE) this.#names.clear();
      this.#names.set(host, name);
    }
    return name;
  }

  #byHeaders(request: RequestFacts, via: 'local' | 'shared'): Destination | Held | Reply {
    const id = request.header(ID_HEADER);
    const portText = request.header(PORT_HEADER);
    if (id === undefined && portText === undefined) return INVALID_HOST;
    if (id === undefined || portText === undefined) return { code: 'missing_routing_header' };
    if (!isSandboxId(id)) return INVALID_ID;
    const port = parsePort(portText);
    return port === undefined ? INVALID_PORT : this.#toSandbox(request, id, port, via);
  }

  #toSandbox(
    request: RequestFacts,
    sandboxId: string,
    port: number,
    via: 'own' | 'local' | 'shared',
  ): Destination | Held | Reply {
    if (port === AGENT_PORT) {
      const path = request.path();
      if (isControlRoute(path)) return { code: 'reserved_path', path: decodePath(path) };
    }
    const entry = this.#table.sandbox(sandboxId);
    if (entry === undefined) return { code: 'url_sandbox_not_found', sandboxId };
    if (entry.route.held?.paused) return { code: 'url_sandbox_paused', sandboxId };
    const { access } = entry;
    if (access?.isPrivate(port)) {
      const running = entry.room === undefined;
      const now = Math.floor(this.#now() / 1000);
      const reply = checkAccess(request, { access, sandboxId, port, ownHost: via === 'own', running, now });
      if (reply !== undefined) return reply;
    }
    if (port !== AGENT_PORT) {
      const limit = entry.count();
      if (limit !== undefined) return { code: 'too_many_requests', sandboxId, limit };
    }
    if (entry.room !== undefined) return this.#toWaitingRoom(request, entry, entry.room, port);
    entry.use();
    return entry.destination(port, via === 'shared');
  }

  /** Access is checked before a sandbox is woken, also to its agent, which cannot do it itself. */
  #toWaitingRoom(request: RequestFacts, { route }: RouteEntry, room: WaitingRoom, port: number): Held | Refusal {
    // Clients ask for the agent's health when a connection breaks, as it does in a pause: that is to wake nothing.
    if (port === AGENT_PORT && route.held?.wake && cleanPath(request.path()) === HEALTH_PATH) {
      return { code: 'url_sandbox_not_found', sandboxId: route.sandboxId };
    }
    const digest = route.held?.agentTokenSha256;
    if (port === AGENT_PORT && digest !== undefined) {
      const token = request.header(AGENT_TOKEN_HEADER);
      if (token === undefined || !isTrafficToken(token, Buffer.from(digest, 'hex'))) {
        return { code: 'wake_denied', sandboxId: route.sandboxId };
      }
    }
    return { room, isPage: request.method === 'GET' && wantsHtml(request) };
  }
}

/** Of a load balancer, at the machine's address or the domain itself. */
function isHealthCheck(request: RequestFacts, name: HostName): boolean {
  if (name.kind !== 'local' && !(name.kind === 'service' && name.label === '')) return false;
  return request.path() === '/healthz' && request.header(ID_HEADER) === undefined;
}
