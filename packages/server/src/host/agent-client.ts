// What the host says to an agent: once, when it has started. The agent is inside the sandbox and is not trusted, so
// every answer is bounded in size and time.
import { setTimeout as delay } from 'node:timers/promises';
import type { AgentInit } from '@sandport/protocol/agent-init';
import { REHEARSAL_PATH } from '@sandport/protocol/agent-port';
import { encodeFrame, STREAM_CONTENT_TYPE } from '@sandport/protocol/connect';
import { SandportError } from '@sandport/protocol/errors';
import { type AgentRequest, sendToAgent } from './ask-agent.ts';
import type { Template } from './image/installation.ts';

const POLL_MS = 4;
const ATTEMPT_MS = 5000;
const MAX_ANSWER = 4096;

export interface AgentPlace {
  readonly address: string;
  /** Whether the process that the agent runs in is still there. */
  readonly isAlive: () => boolean;
}

/**
 * Waits for the agent to listen and initialises it. Throws `agent_unreachable` when it refuses, has ended, or after
 * `timeoutMs`.
 *
 * @param controlToken what the agent knows the host by until now
 */
export async function initialiseAgent(
  place: AgentPlace,
  init: AgentInit,
  timeoutMs: number,
  controlToken = init.controlToken,
): Promise<void> {
  const status = await untilAnswer(place, timeoutMs, (ms) => postInit(place.address, init, controlToken, ms));
  if (status !== 204) {
    throw new SandportError('agent_unreachable', `the agent refused its initialisation with status ${status}`);
  }
}

/** Waits for the agent to answer, without telling it anything. Throws `agent_unreachable` as `initialiseAgent` does. */
export async function untilAgentListens(place: AgentPlace, timeoutMs: number): Promise<void> {
  const status = await untilAnswer(place, timeoutMs, (ms) => send(place.address, 'GET', '/health', { ms }));
  if (status !== 204) throw new SandportError('agent_unreachable', `the agent is not well: status ${status}`);
}

/**
 * Has the agent run a command that does nothing, as the user and where the first one will: that finds loaded what it
 * needs. Never throws.
 */
export async function rehearse(
  place: AgentPlace,
  { defaultUser, defaultWorkdir }: Pick<Template, 'defaultUser' | 'defaultWorkdir'>,
): Promise<void> {
  const process = { cmd: '/bin/bash', args: ['-l', '-c', 'echo'], cwd: defaultWorkdir, envs: { LANG: 'C.UTF-8' } };
  const headers = {
    'content-type': STREAM_CONTENT_TYPE,
    'connect-protocol-version': '1',
    authorization: `Basic ${Buffer.from(`${defaultUser}:`).toString('base64')}`,
  };
  await send(place.address, 'POST', REHEARSAL_PATH, { body: encodeFrame(0, { process, stdin: false }), headers });
}

async function untilAnswer(
  { isAlive }: AgentPlace,
  timeoutMs: number,
  ask: (ms: number) => Promise<number | string>,
): Promise<number> {
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    const outcome = await ask(Math.max(1, Math.min(ATTEMPT_MS, deadline - Date.now())));
    if (typeof outcome === 'number') return outcome;
    if (!isAlive()) throw new SandportError('agent_unreachable', 'the agent has ended');
    if (Date.now() > deadline) {
      throw new SandportError('agent_unreachable', `the agent did not answer within ${timeoutMs} ms: ${outcome}`);
    }
    await delay(POLL_MS);
  }
}

function postInit(address: string, init: AgentInit, controlToken: string, ms: number): Promise<number | string> {
  const headers = { 'content-type': 'application/json', 'x-control-token': controlToken };
  return send(address, 'POST', '/init', { body: JSON.stringify(init), headers, ms });
}

/** The status, or the code of the connection error. */
async function send(
  address: string,
  method: string,
  path: string,
  { ms = ATTEMPT_MS, ...more }: { readonly ms?: number } & Pick<AgentRequest, 'body' | 'headers'>,
): Promise<number | string> {
  try {
    return (await sendToAgent(address, { method, path, ms, longest: MAX_ANSWER, ...more })).status;
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    return code ?? message;
  }
}
