// From a record to a sandbox that runs: the part that creating, resuming and forking share.
import type { AgentInit } from '@sandport/protocol/agent-init';
import { type Identity, type Placement, SANDBOX_HOSTNAME, type StartSource } from '../host/placement.ts';
import type { Core } from './core.ts';
import { faultPoint } from './fault-point.ts';
import { headerTransforms } from './header-rules.ts';
import { lifecycleEvent } from './lifecycle-events.ts';
import { egressPolicy } from './network-policy.ts';
import type { RunningSandbox, SandboxRecord } from './sandbox-record.ts';
import { runningRoute } from './sandbox-route.ts';
import { sinceMachineBoot } from './wall-clock.ts';

export interface StartOptions {
  readonly source: StartSource;
  /** Whose agent a snapshot holds, if not the sandbox's own. */
  readonly agentOf?: string;
  readonly step: 'create' | 'resume' | 'fork';
}

/**
 * Starts what is recorded; its life counts from when it runs. When it throws nothing of it is left on the machine, and
 * its record is the caller's to mend.
 */
export async function startSandbox(core: Core, record: SandboxRecord, options: StartOptions): Promise<RunningSandbox> {
  const { host, records, routes, tokens, timers, now } = core;
  const { source, step } = options;
  const identity: Identity = {
    egress: egressPolicy(record.spec.network, tokens.egressAuthority(record.id)),
    init: await agentInit(core, record),
    ...(source.kind === 'snapshot' && { previousControlToken: tokens.agentControl(options.agentOf ?? record.id) }),
  };
  const placed = (place: Placement): void => {
    // A creation is nobody's until it runs: what is left of it after a crash is removed wherever it was.
    if (step === 'resume') records.update({ ...record, placement: place });
    faultPoint(`${step}:placed`);
  };
  core.assertOpen();
  const begun = now();
  const warm = await host.startWarm(source, identity, placed);
  const placement =
    warm ??
    (await core.starts.run(() => {
      core.assertOpen();
      return host.start(source, identity, placed);
    }));
  core.log.event('sandbox started', { sandboxId: record.id, step, warm: warm !== undefined, ms: now() - begun });
  faultPoint(`${step}:started`);
  const startedAt = now();
  const { snapshot: _over, ...kept } = record;
  const running: RunningSandbox = {
    ...kept,
    state: 'running',
    startedAt,
    ...(step !== 'resume' && { createdAt: startedAt }),
    endAt: startedAt + record.endAt - record.startedAt,
    placement,
  };
  const route = runningRoute(running, tokens);
  // Nobody knows a new sandbox before its client does: gateways may learn of it while its record is written.
  const told = step === 'resume' ? undefined : routes.setRoute(route);
  try {
    records.update(running, lifecycleEvent(step === 'resume' ? 'resumed' : 'created', running, startedAt));
  } catch (error) {
    if (told !== undefined) await routes.deleteRoute(record.id);
    await host.remove(placement);
    throw error;
  }
  faultPoint(`${step}:running`);
  timers.set(record.id, running.endAt);
  await (told ?? routes.setRoute(route));
  return running;
}

/** What the agent is told, at the start and whenever some of it has changed. */
export async function agentInit(
  { tokens, domain, nameservers, now }: Pick<Core, 'tokens' | 'domain' | 'nameservers' | 'now'>,
  { id, generation, spec }: SandboxRecord,
): Promise<AgentInit> {
  const hasTransforms = headerTransforms(spec.network.rules ?? {}).length > 0;
  return {
    controlToken: tokens.agentControl(id),
    sandboxId: id,
    templateId: spec.templateId,
    ...(spec.secure && { accessToken: tokens.agentAccess(id) }),
    tunnelToken: tokens.loopbackTunnel(id),
    envVars: { ...spec.defaults.env, ...spec.envVars },
    defaultUser: spec.defaults.user,
    defaultWorkdir: spec.defaults.workdir,
    hostname: SANDBOX_HOSTNAME,
    nameservers,
    domain,
    ...(hasTransforms && {
      egressAuthority: await certificateOf(tokens.egressAuthority(id)),
    }),
    generation,
    now: now(),
    // A start is within one boot of the machine.
    sequence: sinceMachineBoot(),
  };
}

/** What makes certificates is loaded where one is made: few sandboxes have rules that need any. */
async function certificateOf(authority: string): Promise<string> {
  const { authorityCertificate, openAuthority } = await import('../egress/authority.ts');
  return authorityCertificate(await openAuthority(authority));
}
