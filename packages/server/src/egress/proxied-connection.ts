// One connection of a sandbox that the packet filter led to the proxy: from its first bytes to its end.
import type { Socket } from 'node:net';
import { type Dialler, DialRefused, type Target } from './dialler.ts';
import { type Beginning, type FirstBytes, readBeginning } from './first-bytes.ts';
import type { Interceptor } from './interceptor.ts';
import { type LightSocket, untilDialled } from './light-socket.ts';
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

  /** It is among the sandbox's connections from now until it has ended. */
  start(): void {
    this.#sandbox.connections.add(this);
    this.#step(() => this.#begin());
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

  #begin(): void {
    const { address, port } = this.#destination;
    const sandbox = this.#sandbox;
    const asks = sandbox.needsNames && (!sandbox.allowsAddress(address) || WEB_PORTS.includes(port));
    if (!sandbox.allowsAddressOfName(address)) this.#refuse(undefined, 'the address is not on the internet');
    else if (asks) readBeginning(this.#light, (beginning) => this.#step(() => this.#decide(beginning)));
    else this.#decide(NO_NAME);
  }

  /** @param beginning undefined when the connection is over */
  #decide(beginning: Beginning | typeof NO_NAME | undefined): void {
    if (beginning === undefined) {
      this.#abandon();
      return;
    }
    const { first, bytes } = beginning;
    const { address, port } = this.#destination;
    const sandbox = this.#sandbox;
    const name = first.protocol === 'other' ? undefined : first.name;
    const byName = name !== undefined && sandbox.allowsName(name);
    if (!byName && !sandbox.allowsAddress(address)) {
      const reason = first.protocol === 'other' ? first.reason : 'the name is not allowed';
      this.#refuse(name, name === undefined && first.protocol !== 'other' ? 'it names no host' : reason);
      return;
    }
    this.#proxy = sandbox.policy.proxy;
    // Elsewhere another service of the host may answer, or something that is no web server at all.
    const transforms = first.protocol !== 'other' && port === PORTS[first.protocol];
    const transform = name === undefined || !transforms ? undefined : sandbox.transformOf(name);
    const isPlain = byName && first.protocol === 'http';
    const isRead = transform !== undefined || (isPlain && first.isUpgrade === true);
    const go = (target: Target): void => {
      this.#target = target;
      sandbox.traffic.connections++;
      if (isRead) this.#intercept(target, { name: name!, bytes, isSecure: first.protocol === 'tls', transforms });
      else this.#relay(target, { bytes, guarded: isPlain ? name : undefined });
    };
    this.#target = { address, port, ...(byName && { name }) };
    // A proxy that the name goes to looks it up itself.
    const looksUp = byName ? this.#proxy === undefined : transform !== undefined;
    if (looksUp) this.#lookUp(name!, byName, go);
    else go(this.#target);
  }

  /** Has the target's address become one that the name has, at once where it is known. */
  #lookUp(name: string, byName: boolean, go: (target: Target) => void): void {
    const sandbox = this.#sandbox;
    const target = this.#target!;
    const allowed = (one: string): boolean => (byName ? sandbox.allowsAddressOfName(one) : sandbox.allowsAddress(one));
    const found = this.#dialler.addressOf(name, target.address, { sandbox, allowed });
    if (typeof found === 'string') {
      go({ ...target, address: found });
      return;
    }
    found.then(
      (address) => this.#step(() => (this.#light.destroyed ? this.#abandon() : go({ ...target, address }))),
      (error: unknown) => this.#fail(error),
    );
  }

  /** Reads its requests outside of the sandbox. */
  #intercept(
    target: Target,
    {
      bytes,
      ...beginning
    }: {
      readonly name: string;
      readonly bytes: Buffer | undefined;
      readonly isSecure: boolean;
      readonly transforms: boolean;
    },
  ): void {
    const sandbox = this.#sandbox;
    if (bytes !== undefined) this.#light.putBack(bytes);
    const socket = asSocket(this.#light);
    this.#socket = socket;
    const dial = async (): Promise<Socket> =>
      asSocket(await untilDialled((dialled) => this.#dialler.dial(sandbox, target, true, dialled)));
    this.#interceptor.serve({ ...beginning, sandbox, socket, port: target.port, dial }).then(
      () => this.#end(),
      (error: unknown) => this.#fail(error),
    );
  }

  /** @param guarded the host that each of its plain requests has to name */
  #relay(
    target: Target,
    { bytes, guarded }: { readonly bytes: Buffer | undefined; readonly guarded: string | undefined },
  ): void {
    const sandbox = this.#sandbox;
    const dialled = (outer: LightSocket | Error): void => {
      if (outer instanceof Error) throw outer;
      this.#outer = outer;
      if (this.#light.destroyed) {
        this.#abandon();
        return;
      }
      // Plain requests of a connection may each name another host.
      const guard =
        guarded === undefined ? undefined : { guard: new RequestGuard(guarded), refusal: () => refusal(guarded) };
      splice(this.#light, outer, { count: sandbox.traffic, first: bytes, ...guard, done: () => this.#end() });
    };
    this.#dialler.dial(sandbox, target, bytes !== undefined, (result) => this.#step(() => dialled(result)));
  }

  /** What goes wrong is the end of this connection alone. */
  #step(take: () => void): void {
    try {
      take();
    } catch (error) {
      this.#fail(error);
    }
  }

  #fail(error: unknown): void {
    if (error instanceof DialRefused) this.#deny(this.#target?.name, error.message);
    this.#abandon();
  }

  #abandon(): void {
    this.cut();
    this.#end();
  }

  #end(): void {
    this.#sandbox.connections.delete(this);
  }

  #refuse(name: string | undefined, reason: string): void {
    this.#deny(name, reason);
    this.#abandon();
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
