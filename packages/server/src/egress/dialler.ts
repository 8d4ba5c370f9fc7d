// Opens the connection that a sandbox asked for: directly, or through the SOCKS5 proxy of its rules.
import { connect, isIPv4, type Socket } from 'node:net';
import type { NameLookup } from '../dns/name-lookup.ts';
import type { SocksProxy } from '../host/network/egress-policy.ts';
import { LightSocket } from './light-socket.ts';
import type { Destination } from './original-destination.ts';
import type { RelaySocket } from './relay-socket.ts';
import type { SandboxEgress } from './sandbox-egress.ts';
import { openTunnel } from './socks5.ts';

const DIAL_MS = 30_000;

/** To where, once it is known that the sandbox may. */
export interface Target extends Destination {
  /** Set where the connection is allowed by this name: a proxy resolves it itself. */
  readonly name?: string;
}

/** The rules deny it, or what it leads to is out of reach; the message says which. */
export class DialRefused extends Error {}

export class Dialler {
  readonly #lookup: NameLookup;

  constructor(lookup: NameLookup) {
    this.#lookup = lookup;
  }

  /**
   * The address of `name` to connect to: the one that the sandbox chose where it belongs to the name, else another of
   * the name's own. What the sandbox took for the name's address decides nothing.
   *
   * @throws DialRefused
   */
  async addressOf(
    name: string,
    chosen: string,
    { sandbox, allowed }: { readonly sandbox: SandboxEgress; readonly allowed: (address: string) => boolean },
  ): Promise<string> {
    const addresses = await this.#lookup.addresses(name, sandbox.address);
    if (addresses.length === 0) throw new DialRefused('the name has no address');
    const reachable = addresses.filter(allowed);
    if (reachable.length === 0) throw new DialRefused('the address of the name is not allowed');
    return reachable.includes(chosen) ? chosen : reachable[0]!;
  }

  /**
   * As `dial`, and as lightly as the other side of the relay is.
   *
   * @param speaksFirst whether something is written as soon as there is a connection
   */
  dialFor(
    other: RelaySocket,
    sandbox: SandboxEgress,
    { target, speaksFirst }: { readonly target: Target; readonly speaksFirst: boolean },
  ): Promise<RelaySocket> {
    const isLight = other instanceof LightSocket && sandbox.policy.proxy === undefined;
    if (!isLight) return this.dial(sandbox, target);
    return LightSocket.dial(target.address, target.port, { timeoutMs: DIAL_MS, speaksFirst });
  }

  /** Connects, in time. The socket is paused. Throws when there is no connection. */
  async dial(sandbox: SandboxEgress, target: Target): Promise<Socket> {
    const { proxy } = sandbox.policy;
    if (proxy === undefined) return open(target);
    const socket = await open({ address: await this.#proxyAddress(sandbox, proxy), port: proxy.port });
    const timer = setTimeout(() => socket.destroy(), DIAL_MS);
    try {
      const host = target.name ?? target.address;
      await openTunnel(socket, proxy, { host, port: target.port, isName: target.name !== undefined });
      return socket;
    } catch (error) {
      socket.destroy();
      throw error;
    } finally {
      clearTimeout(timer);
    }
  }

  async #proxyAddress(sandbox: SandboxEgress, proxy: SocksProxy): Promise<string> {
    const allowed = (address: string): boolean => sandbox.allowsAddressOfName(address);
    if (!isIPv4(proxy.host)) return this.addressOf(proxy.host, '', { sandbox, allowed });
    if (!allowed(proxy.host)) throw new DialRefused('the address of the egress proxy is not allowed');
    return proxy.host;
  }
}

function open({ address, port }: Destination): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: address, port, noDelay: true, allowHalfOpen: true, keepAlive: true });
    const timer = setTimeout(() => socket.destroy(new Error('the host did not answer in time')), DIAL_MS);
    socket.once('connect', () => {
      clearTimeout(timer);
      socket.off('error', onError);
      socket.on('error', () => {});
      socket.pause();
      resolve(socket);
    });
    const onError = (error: Error): void => {
      clearTimeout(timer);
      reject(error);
    };
    socket.once('error', onError);
  });
}
