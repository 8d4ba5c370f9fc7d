// What sandboxes may reach, changed and reported while they run.
import { SandportError } from '@sandport/protocol/errors';
import { addTraffic, NO_TRAFFIC } from '../egress/add-traffic.ts';
import type { EgressTraffic } from '../egress/messages.ts';
import type { EgressReport } from '../host/network/egress.ts';
import type { EgressPolicy } from '../host/network/egress-policy.ts';
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

/** For the agent to take what it is told. It is inside the sandbox, which may keep it from answering. */
const AGENT_MS = 1500;

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

  /**
   * Replaces what a sandbox may reach; the caller holds its lock. What is denied is so before anything is asked of the
   * sandbox. When it throws, the rules are those from before.
   */
  async update(record: RunningSandbox, egress: EgressSpec): Promise<void> {
    const { records, host, tokens, now } = this.#core;
    const { placement } = record;
    const {
      allowInternetAccess: _access,
      allowOut: _allowOut,
      denyOut: _denyOut,
      egressProxy: _proxy,
      rules: rulesBefore,
      ...ingress
    } = record.spec.network;
    const network: NetworkSpec = { ...ingress, ...egress };
    const authority = tokens.egressAuthority(record.id);
    const before = egressPolicy(record.spec.network, authority);
    const policy = egressPolicy(network, authority);
    // Programs have to trust what reads their requests before something does.
    const readsFirst = policy.transforms.length > 0 && before.transforms.length === 0;
    await host.setEgress(placement, readsFirst ? withoutTransforms(policy) : policy);
    try {
      const updated = records.update(
        { ...record, spec: { ...record.spec, network } },
        lifecycleEvent('updated', record, now(), { network: true }),
      );
      if (egress.rules !== undefined || rulesBefore !== undefined) await this.#tellAgent(updated);
      if (readsFirst) await host.setEgress(placement, policy);
    } catch (error) {
      records.restore(record);
      await host.setEgress(placement, before);
      throw error;
    }
  }

  /** Its programs may not trust the host then, which is the sandbox's own loss. */
  async #tellAgent(record: RunningSandbox): Promise<void> {
    const { host, log } = this.#core;
    try {
      await host.updateAgent(record.placement, await agentInit(this.#core, record), AGENT_MS);
    } catch (error) {
      log.event('agent not told of network rules', { sandboxId: record.id, error: String(error) });
    }
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

function withoutTransforms({ authority: _authority, ...policy }: EgressPolicy): EgressPolicy {
  return { ...policy, transforms: [] };
}
