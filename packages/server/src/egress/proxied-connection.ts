// One connection of a sandbox that the packet filter led to the proxy: from its first bytes to its end.
import type { Socket } from 'node:net';
import { type Dialler, DialRefused, type Target } from './dialler.ts';
import { type FirstBytes, readBeginning } from './first-bytes.ts';
import type { Interceptor } from './interceptor.ts';
import type { LightSocket } from './light-socket.ts';
import type { Destination } from './original-destination.ts';
import { RequestGuard } from './request-guard.ts';
import type { Cuttable, SandboxEgress } from './sandbox-egress.ts';
import { splice } from './splice.ts';

const PORTS = { http: 80, tls: 443 } as const;
const WEB_PORTS: readonly number[] = Object.values(PORTS);
const NO_NAME: { readonly first: FirstBytes; readonly bytes?: undefined } = {
  first: { protocol: 'other', reason: 'the address is not allowed' },
};

export class ProxiedConnection implements Cuttable {
  readonly #sandbox: SandboxEgress;
  readonly #light: LightSocket;
  /** The same as a socket, where the connection is read and not only passed on. */
  #socket: Socket | undefined;
  readonly #destination: Destination;
  readonly #dialler: Dialler;
  readonly #interceptor: Interceptor;
  #outer: LightSocket | undefined;
  /** What it was let through as. */
  #target: Target | undefined;
  #proxy: unknown;

  constructor(parts: {
    readonly sandbox: SandboxEgress;
    readonly socket: LightSocket;
    readonly destination: Destination;
    readonly dialler: Dialler;
    readonly interceptor: Interceptor;
  }) {
    this.#sandbox = parts.sandbox;
    this.#light = parts.socket;
    this.#destination = parts.destination;
    this.#dialler = parts.dialler;
    this.#interceptor = parts.interceptor;
  }

  /** Ends when the connection has ended. */
  async run(): Promise<void> {
    this.#sandbox.connections.add(this);
    try {
      await this.#serve();
    } catch (error) {
      if (error instanceof DialRefused) this.#deny(this.#target?.name, error.message);
      this.cut();
    } finally {
      this.#sandbox.connections.delete(this);
    }
  }

  cut(): void {
    this.#light.resetAndDestroy();
    this.#socket?.resetAndDestroy();
    this.#outer?.resetAndDestroy();
  }

  cutUnlessAllowed(): void {
    if (this.#target === undefined) return;
    const { name, address } = this.#target;
    const allowed = (name !== undefined && this.#sandbox.allowsName(name)) || this.#sandbox.allowsAddress(address);
    if (!allowed || JSON.stringify(this.#sandbox.policy.proxy) !== JSON.stringify(this.#proxy)) this.cut();
  }

  async #serve(): Promise<void> {
    const { address, port } = this.#destination;
    const sandbox = this.#sandbox;
    if (!sandbox.allowsAddressOfName(address)) return this.#refuse(undefined, 'the address is not on the internet');
    const asks = sandbox.needsNames && (!sandbox.allowsAddress(address) || WEB_PORTS.includes(port));
    const beginning = asks ? await readBeginning(this.#light) : NO_NAME;
    if (beginning === undefined) return this.cut();
    const { first, bytes } = beginning;
    const name = first.protocol === 'other' ? undefined : first.name;
    const byName = name !== undefined && sandbox.allowsName(name);
    if (!byName && !sandbox.allowsAddress(address)) {
      const reason = first.protocol === 'other' ? first.reason : 'the name is not allowed';
      return this.#refuse(name, name === undefined && first.protocol !== 'other' ? 'it names no host' : reason);
    }
    this.#proxy = sandbox.policy.proxy;
    // Elsewhere another service of the host may answer, or something that is no web server at all.
    const transforms = first.protocol !== 'other' && port === PORTS[first.protocol];
    const transform = name === undefined || !transforms ? undefined : sandbox.transformOf(name);
    this.#target = { address, port, ...(byName && { name }) };
    if (name !== undefined && (byName || transform !== undefined) && !(byName && this.#proxy !== undefined)) {
      const allowed = (one: string): boolean =>
        byName ? sandbox.allowsAddressOfName(one) : sandbox.allowsAddress(one);
      this.#target = {
        ...this.#target,
        address: await this.#dialler.addressOf(name, address, { sandbox, allowed }),
      };
      if (this.#light.destroyed) return;
    }
    sandbox.traffic.connections++;
    const isPlain = byName && first.protocol === 'http';
    if (name !== undefined && (transform !== undefined || (isPlain && first.isUpgrade))) {
      if (bytes !== undefined) this.#light.putBack(bytes);
      this.#socket = asSocket(this.#light);
      return this.#interceptor.serve({
        sandbox,
        socket: this.#socket,
        name,
        isSecure: first.protocol === 'tls',
        port,
        transforms,
        dial: async () => asSocket(await this.#dialler.dial(sandbox, this.#target!, true)),
      });
    }
    const speaksFirst = bytes !== undefined;
    this.#outer = await this.#dialler.dial(sandbox, this.#target, speaksFirst);
    if (this.#light.destroyed) return this.cut();
    // Plain requests of a connection may each name another host.
    const guarded = isPlain ? { guard: new RequestGuard(name!), refusal: () => refusal(name!) } : undefined;
    await splice(this.#light, this.#outer, sandbox.traffic, { first: bytes, ...guarded });
  }

  #refuse(name: string | undefined, reason: string): void {
    this.#deny(name, reason);
    this.cut();
  }

  #deny(name: string | undefined, reason: string): void {
    const { address, port } = this.#destination;
    this.#sandbox.deny({ protocol: 'tcp', name: name ?? this.#sandbox.nameOf(address), address, port, reason });
  }
}

function asSocket(light: LightSocket): Socket {
  const socket = light.toSocket();
  socket.on('error', () => {});
  return socket;
}

function refusal(name: string): string {
  const text = `this connection is for ${name} only\n`;
  return `HTTP/1.1 421 Misdirected Request\r\nContent-Type: text/plain\r\nContent-Length: ${text.length}\r\nConnection: close\r\n\r\n${text}`;
}
