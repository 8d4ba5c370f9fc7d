// What the gateway knows: the sandboxes by ID and the services by label, each with the connections that belong to it.

import { isDeepStrictEqual } from 'node:util';
import { AGENT_PORT } from '@sandport/protocol/agent-port';
import { formatHostName } from '@sandport/protocol/host-name';
import {
  defaultTrafficLimits,
  type GatewaySettings,
  type Route,
  type ServiceRoute,
  type TrafficCount,
  type TrafficLimits,
  type TrafficUsage,
  type WakeFailure,
} from '@sandport/protocol/routes';
import { Roster } from '../../roster.ts';
import { PrivateAccess } from '../access/private-access.ts';
import type { Sweep } from '../sweep.ts';
import { type Cuttable, Upstream, type UpstreamGroup } from '../upstream/upstream.ts';
import { WaitingRoom } from './waiting-room.ts';

/** Whose connections it is among. */
const UPSTREAM = Symbol('upstream');

/** Where a request goes. Made once for each port, so that a request costs no object. */
export interface Destination {
  readonly upstream: Upstream;
  /** What the server sees as Host, if not what the client sent. */
  readonly host: string | undefined;
  /** Whether requests bring what opens the port, which the server is not to see. */
  readonly isPrivate: boolean;
  /** Whether the server is to take the public origin for its own; then `host` is set. */
  readonly masksOrigin: boolean;
  /** Whether requests are changed for one of these reasons. */
  readonly alters: boolean;
  /** Whether the server wants HTTP/2 from clients that speak it, whatever they ask for. */
  readonly http2: boolean;
}

/** Where a request waits for a sandbox that does not run. */
export interface Held {
  readonly room: WaitingRoom;
  /** Whether a person waits in a browser. */
  readonly isPage: boolean;
}

interface PortEntry {
  readonly upstream: Upstream;
  /** For requests that name the sandbox in their host. */
  readonly direct: Destination;
  /** For requests to the shared host, which names no sandbox: the server sees the name that does. */
  readonly shared: Destination;
}

/** What the control process is told. */
export interface RouteEvents {
  /** Asks for a sandbox to be resumed. */
  wake(sandboxId: string): void;
  /** A sandbox that runs is asked for something; once for each sweep in which it is. */
  used(sandboxId: string): void;
}

/** One start of a sandbox. */
export class RouteEntry implements UpstreamGroup {
  readonly sweep: Sweep;
  readonly connections = new Roster<Cuttable>(UPSTREAM);
  readonly #connectionLimit: number;
  /** What other workers have. */
  connectionsElsewhere = 0;
  requestsElsewhere = 0;
  route: Route;
  /** Of a sandbox that has private ports. */
  access: PrivateAccess | undefined;
  /** Where requests go while the sandbox does not run; undefined while it does. */
  readonly room: WaitingRoom | undefined;
  readonly #domain: string;
  readonly #ports = new Map<number, PortEntry>();
  readonly #requestsPerSecond: number;
  readonly #workers: number;
  /** The second that is being counted, the requests in it and in the one before, and how many are let through. */
  #second = 0;
  #requests = 0;
  #requestsBefore = 0;
  #quota = 0;
  readonly #events: RouteEvents;
  /** As of the sweep. */
  #usedAt = 0;

  constructor(route: Route, { domain, limits, sweep, workers }: RouteTable, events: RouteEvents) {
    this.#events = events;
    this.#connectionLimit = limits.connectionsPerSandbox || Number.POSITIVE_INFINITY;
    this.#requestsPerSecond = limits.requestsPerSecond;
    this.#workers = workers;
    this.route = route;
    this.sweep = sweep;
    this.#domain = domain;
    this.access = accessOf(route);
    const { held, sandboxId } = route;
    if (held) this.room = new WaitingRoom(sandboxId, sweep, held.wake ? () => events.wake(sandboxId) : undefined);
  }

  /** Takes what may change while the sandbox runs. */
  update(route: Route): void {
    const before = this.route;
    const accessChanges = !isDeepStrictEqual(route.access, before.access);
    const remap =
      accessChanges ||
      route.maskRequestHost !== before.maskRequestHost ||
      route.masksOrigin !== before.masksOrigin ||
      !isDeepStrictEqual(route.http2Ports, before.http2Ports);
    this.route = route;
    this.access = accessOf(route);
    if (remap) for (const [port, entry] of this.#ports) this.#ports.set(port, this.#entry(port, entry.upstream));
    if (!accessChanges) return;
    // What was open by access that has been revoked must not go on; whoever still has access connects again.
    for (const [port, { upstream }] of this.#ports) if (this.access?.isPrivate(port)) upstream.cut();
  }

  /** Counts a request. @returns the limit, where this one is over it */
  count(): number | undefined {
    const limit = this.#requestsPerSecond;
    if (limit === 0) return undefined;
    const second = currentSecond();
    if (second !== this.#second) {
      this.#requestsBefore = this.requestsIn(second - 1);
      this.#second = second;
      this.#requests = 0;
      this.#quota = quotaOf(limit, this.#requestsBefore, this.requestsElsewhere, this.#workers);
    }
    return ++this.#requests > this.#quota ? limit : undefined;
  }

  /** Notes that a request is let through. */
  use(): void {
    const { now } = this.sweep;
    if (now === this.#usedAt) return;
    this.#usedAt = now;
    this.#events.used(this.route.sandboxId);
  }

  /** Requests, refused ones too, in a second that is not over or the one before it. */
  requestsIn(second: number): number {
    if (second === this.#second) return this.#requests;
    return second === this.#second - 1 ? this.#requestsBefore : 0;
  }

  get maxConnections(): number {
    return this.#connectionLimit - this.connectionsElsewhere;
  }

  /** As it was set, for messages. */
  get connectionLimit(): number {
    return this.#connectionLimit;
  }

  destination(port: number, shared: boolean): Destination {
    let entry = this.#ports.get(port);
    if (entry === undefined) {
      const { sandboxId, address, tunnelToken } = this.route;
      entry = this.#entry(port, new Upstream(this, { kind: 'sandbox', sandboxId, host: address, port, tunnelToken }));
      this.#ports.set(port, entry);
    }
    return shared ? entry.shared : entry.direct;
  }

  #entry(port: number, upstream: Upstream): PortEntry {
    const mask = port === AGENT_PORT ? undefined : this.route.maskRequestHost?.replaceAll('${PORT}', String(port));
    const combined = formatHostName(port, this.route.sandboxId, this.#domain);
    const http2 = this.route.http2Ports?.includes(port) === true;
    const isPrivate = this.access?.isPrivate(port) === true;
    const masksOrigin = mask !== undefined && this.route.masksOrigin === true;
    const same = { upstream, http2, isPrivate, masksOrigin, alters: isPrivate || masksOrigin };
    return { upstream, direct: { ...same, host: mask }, shared: { ...same, host: mask ?? combined } };
  }

  /** Cuts every connection, towards the sandbox and towards the clients. Requests that wait are routed anew. */
  end(): void {
    this.room?.open();
    for (const connection of [...this.connections]) connection.cut();
  }
}

/** Of a clock that all workers share. */
function currentSecond(): number {
  return process.hrtime()[0];
}

/** A worker's part of the requests of one second, by what it and the others had in the one before. */
function quotaOf(limit: number, here: number, elsewhere: number, workers: number): number {
  const total = here + elsewhere;
  if (elsewhere === 0) return limit;
  if (total < limit) return here + limit - total;
  return Math.max(Math.ceil(limit / workers / 4), Math.round((limit * here) / total));
}

const SERVICE_CONNECTIONS = 8192;

class ServiceEntry implements UpstreamGroup {
  readonly sweep: Sweep;
  readonly connections = new Roster<Cuttable>(UPSTREAM);
  readonly maxConnections = SERVICE_CONNECTIONS;
  readonly connectionLimit = SERVICE_CONNECTIONS;
  readonly socketPath: string;
  readonly destination: Destination;

  constructor(socketPath: string, sweep: Sweep) {
    this.sweep = sweep;
    this.socketPath = socketPath;
    this.destination = {
      upstream: new Upstream(this, { kind: 'service', path: socketPath }),
      host: undefined,
      http2: false,
      isPrivate: false,
      masksOrigin: false,
      alters: false,
    };
  }
}

export class RouteTable {
  readonly domain: string;
  readonly redirectsToHttps: boolean;
  readonly limits: TrafficLimits;
  readonly sweep: Sweep;
  /** How many share the limits. */
  workers: number;
  readonly #events: RouteEvents;
  readonly #routes = new Map<string, RouteEntry>();
  readonly #services = new Map<string, ServiceEntry>();
  /** What other workers have, by sandbox. */
  #connectionsElsewhere: ReadonlyMap<string, number> = new Map();
  #requestsElsewhere: ReadonlyMap<string, number> = new Map();

  constructor(settings: GatewaySettings, sweep: Sweep, events: RouteEvents, workers = 1) {
    this.workers = workers;
    this.domain = settings.domain;
    this.limits = settings.limits ?? defaultTrafficLimits;
    this.redirectsToHttps = settings.redirectToHttps === true;
    this.sweep = sweep;
    this.#events = events;
  }

  sandbox(sandboxId: string): RouteEntry | undefined {
    return this.#routes.get(sandboxId);
  }

  service(label: string): Destination | undefined {
    return this.#services.get(label)?.destination;
  }

  setRoute(route: Route): void {
    const known = this.#routes.get(route.sandboxId);
    if (known !== undefined && isSameStart(known.route, route)) {
      known.update(route);
      return;
    }
    const entry = new RouteEntry(route, this, this.#events);
    this.#routes.set(route.sandboxId, entry);
    this.#tellElsewhere(entry);
    known?.end();
  }

  /** Connections and requests of the last whole second, of sandboxes that have so many and more. */
  usage(leastConnections: number, leastRequests: number): Pick<TrafficUsage, 'sandboxes' | 'requests'> {
    const second = currentSecond() - 1;
    const sandboxes: TrafficCount[] = [];
    const requests: TrafficCount[] = [];
    for (const [id, entry] of this.#routes) {
      if (entry.connections.size >= leastConnections) sandboxes.push([id, entry.connections.size]);
      const count = entry.requestsIn(second);
      if (count >= leastRequests) requests.push([id, count]);
    }
    return { sandboxes, requests };
  }

  /** What other workers have. */
  setUsageElsewhere(connections: ReadonlyMap<string, number>, requests: ReadonlyMap<string, number>): void {
    this.#connectionsElsewhere = connections;
    this.#requestsElsewhere = requests;
    for (const entry of this.#routes.values()) this.#tellElsewhere(entry);
  }

  #tellElsewhere(entry: RouteEntry): void {
    const { sandboxId } = entry.route;
    entry.connectionsElsewhere = this.#connectionsElsewhere.get(sandboxId) ?? 0;
    entry.requestsElsewhere = this.#requestsElsewhere.get(sandboxId) ?? 0;
  }

  /** Answers the requests that wait for a sandbox which could not be resumed. */
  wakeFailed(sandboxId: string, code: WakeFailure): void {
    this.#routes.get(sandboxId)?.room?.fail(code);
  }

  deleteRoute(sandboxId: string): void {
    const known = this.#routes.get(sandboxId);
    this.#routes.delete(sandboxId);
    known?.end();
  }

  /** Makes the table equal to a snapshot. Connections of what is the same in both go on. */
  replace(routes: readonly Route[], services: readonly ServiceRoute[]): void {
    const ids = new Set(routes.map((route) => route.sandboxId));
    for (const id of [...this.#routes.keys()]) if (!ids.has(id)) this.deleteRoute(id);
    for (const route of routes) this.setRoute(route);
    // A control process that has come back has not heard who waits.
    for (const entry of this.#routes.values()) entry.room?.wakeAgain();
    const known = new Map(this.#services);
    this.#services.clear();
    for (const { label, socketPath } of services) {
      const same = known.get(label);
      this.#services.set(label, same?.socketPath === socketPath ? same : new ServiceEntry(socketPath, this.sweep));
    }
  }
}

function isSameStart(known: Route, next: Route): boolean {
  return (
    known.generation === next.generation &&
    known.address === next.address &&
    known.held?.wake === next.held?.wake &&
    known.held?.paused === next.held?.paused &&
    known.held?.agentTokenSha256 === next.held?.agentTokenSha256
  );
}

function accessOf({ access }: Route): PrivateAccess | undefined {
  return access.kind === 'token' ? new PrivateAccess(access) : undefined;
}
