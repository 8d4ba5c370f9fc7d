// What sandboxes may reach, changed and reported while they run.
import { SandportError } from '@sandport/protocol/errors';
import { addTraffic, NO_TRAFFIC } from '../egress/add-traffic.ts';
import type { EgressTraffic } from '../egress/messages.ts';
import type { EgressReport } from '../host/network/egress.ts';
import type { Core } from './core.ts';
import { readEgressProxy } from './egress-proxy-option.ts';
import { lifecycleEvent } from './lifecycle-events.ts';
import { egressPolicy } from './network-policy.ts';
import {
  type EgressSpec,
  isRunning,
  type NetworkSpec,
  type RunningSandbox,
  type SandboxRecord,
} from './sandbox-record.ts';
import { agentInit } from './starting.ts';

/** What a sandbox may reach, what it sent and received since its creation, and what it was denied of late. */
export type NetworkReport = { readonly network: NetworkSpec } & EgressReport;

export class Networks {
  readonly #core: Core;

  constructor(core: Core) {
    this.#core = core;
  }

  /** Throws `invalid_network_rule` for a proxy that no sandbox could reach. */
  async assertProxyReachable({ egressProxy }: EgressSpec): Promise<void> {
    if (egressProxy === undefined) return;
    const { host } = readEgressProxy(egressProxy);
    if (await this.#core.host.canReach(host)) return;
    throw new SandportError(
      'invalid_network_rule',
      `invalid egress proxy address "${egressProxy.address}": it does not resolve to an address on the internet`,
    );
  }

  /** Replaces what a sandbox may reach; the caller holds its lock. */
  async update(record: RunningSandbox, egress: EgressSpec): Promise<void> {
    const { records, host, tokens, now } = this.#core;
    const {
      allowInternetAccess: _access,
      allowOut: _allowOut,
      denyOut: _denyOut,
      egressProxy: _proxy,
      rules: rulesBefore,
      ...ingress
    } = record.spec.network;
    const network: NetworkSpec = { ...ingress, ...egress };
    const updated = records.update(
      { ...record, spec: { ...record.spec, network } },
      lifecycleEvent('updated', record, now(), { network: true }),
    );
    // Programs have to trust what reads their requests before something does.
    if (egress.rules !== undefined || rulesBefore !== undefined) {
      await host.updateAgent(record.placement, await agentInit(this.#core, updated));
    }
    await host.setEgress(record.placement, egressPolicy(network, tokens.egressAuthority(record.id)));
  }

  async report(record: SandboxRecord): Promise<NetworkReport> {
    const { traffic, denials } = isRunning(record)
      ? await this.#core.host.networkReport(record.placement)
      : { traffic: NO_TRAFFIC, denials: [] };
    const before = record.trafficBefore ?? NO_TRAFFIC;
    return { network: record.spec.network, traffic: addTraffic(before, traffic), denials };
  }

  /** Of every sandbox that runs, by ID. */
  async traffic(): Promise<Map<string, EgressTraffic>> {
    const running = this.#core.records.values().filter(isRunning);
    const traffic = await this.#core.host.traffic(running.map(({ placement }) => placement));
    return new Map(
      running.map(({ id, trafficBefore = NO_TRAFFIC }, index) => [id, addTraffic(trafficBefore, traffic[index]!)]),
    );
  }
}
