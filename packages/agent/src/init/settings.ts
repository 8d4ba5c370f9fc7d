// What the host told the agent about this sandbox.
import type { AgentInit } from '@sandport/protocol/agent-init';
import { Secret } from '../access/secret.ts';

/** Where code in the sandbox reports events on the service the clients come from; nothing answers there. */
const EVENTS_ADDRESS = 'http://192.0.2.1';

export interface Settings {
  readonly controlToken: Secret;
  /** Required in X-Access-Token when present. */
  readonly accessToken: Secret | undefined;
  /** Asked of the gateway by the tunnel to the loopback; without it there is none. */
  readonly tunnelToken: Secret | undefined;
  readonly defaultUser: string;
  readonly defaultWorkdir: string | undefined;
  /** Environment of every process. */
  readonly environment: ReadonlyMap<string, string>;
  readonly generation: string | undefined;
  /** Larger in what the host sent later. */
  readonly sequence: number;
}

/** @param defaults environment that a sandbox's own replaces */
export function settingsOf(init: AgentInit, defaults: Iterable<[string, string]> = []): Settings {
  return {
    controlToken: new Secret(init.controlToken),
    accessToken: init.accessToken === undefined ? undefined : new Secret(init.accessToken),
    tunnelToken: init.tunnelToken === undefined ? undefined : new Secret(init.tunnelToken),
    defaultUser: init.defaultUser,
    defaultWorkdir: init.defaultWorkdir,
    environment: new Map([...defaults, ...Object.entries(init.envVars), ...identity(init)]),
    generation: init.generation,
    sequence: sequenceOf(init),
  };
}

/** The variables by which a program knows which sandbox it runs in. */
export function identity(init: AgentInit): Map<string, string> {
  return new Map([
    ['E2B_SANDBOX', 'true'],
    ['E2B_SANDBOX_ID', init.sandboxId],
    ['E2B_TEMPLATE_ID', init.templateId],
    ['E2B_EVENTS_ADDRESS', EVENTS_ADDRESS],
    ['SANDPORT_SANDBOX_ID', init.sandboxId],
    ['SANDPORT_DOMAIN', init.domain],
    // Vite refuses requests for host names it does not know; this names every public URL at once.
    ['__VITE_ADDITIONAL_SERVER_ALLOWED_HOSTS', `.${init.domain.replace(/:[0-9]+$/, '')}`],
  ]);
}

export function sequenceOf({ sequence, now }: AgentInit): number {
  return sequence ?? now;
}
