// Opens the connection that a sandbox asked for: directly, or through the SOCKS5 proxy of its rules.
import { isIPv4 } from 'node:net';
import type { NameLookup } from '../dns/name-lookup.ts';
import type { SocksProxy } from '../host/network/egress-policy.ts';
import { type Dialled, LightSocket, untilDialled } from './light-socket.ts';
import type { Destination } from './original-destination.ts';
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
   * the name's own. What the sandbox took for the name's address decides nothing. It is there at once for a name that was
   * looked up before.
   *
   * @throws DialRefused, or rejects with it
   */
  addressOf(
    name: string,
    chosen: string,
    { sandbox, allowed }: { readonly sandbox: SandboxEgress; readonly allowed: (address: string) => boolean },
  ): string | Promise<string> {
    const known = this.#lookup.knownAddresses(name);
    if (known !== undefined) return choose(known, chosen, allowed);
    return this.#lookup.addresses(name, sandbox.address).then((addresses) => choose(addresses, chosen, allowed));
  }

  /**
   * Connects, in time.
   *
   * @param speaksFirst whether something is written to the target as soon as there is a connection
   */
  dial(sandbox: SandboxEgress, target: Target, speaksFirst: boolean, dialled: Dialled): void {
    const { proxy } = sandbox.policy;
    if (proxy === undefined) dialDirectly(target.address, target.port, speaksFirst, dialled);
    else this.#dialThrough(proxy, sandbox, target).then(dialled, dialled);
  }

  async #dialThrough(proxy: SocksProxy, sandbox: SandboxEgress, target: Target): Promise<LightSocket> {
    const address = await this.#proxyAddress(sandbox, proxy);
    const socket = await untilDialled((dialled) => dialDirectly(address, proxy.port, true, dialled));
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

function dialDirectly(address: string, port: number, speaksFirst: boolean, dialled: Dialled): void {
  LightSocket.dial(address, port, { timeoutMs: DIAL_MS, speaksFirst }, dialled);
}

function choose(addresses: readonly string[], chosen: string, allowed: (address: string) => boolean): string {
  if (addresses.length === 0) throw new DialRefused('the name has no address');
  if (addresses.includes(chosen) && allowed(chosen)) return chosen;
  const other = addresses.find(allowed);
  if (other === undefined) throw new DialRefused('the address of the name is not allowed');
  return other;
}
