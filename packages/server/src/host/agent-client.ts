// What the host says to an agent: once, when it has started. The agent is inside the sandbox and is not trusted, so
// every answer is bounded in size and time.
import { request } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import type { AgentInit } from '@sandport/protocol/agent-init';
import { AGENT_PORT } from '@sandport/protocol/agent-port';
import { SandportError } from '@sandport/protocol/errors';

const POLL_MS = 4;
const ATTEMPT_MS = 5000;
const MAX_ANSWER = 4096;

/**
 * Waits for the agent to listen and initialises it. Throws `agent_unreachable` after `timeoutMs`.
 *
 * @param controlToken what the agent knows the host by until now
 */
export async function initialiseAgent(
  address: string,
  init: AgentInit,
  timeoutMs: number,
  controlToken = init.controlToken,
): Promise<void> {
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    const outcome = await postInit(address, init, controlToken);
    if (outcome === 204) return;
    if (typeof outcome === 'number') {
      throw new SandportError('agent_unreachable', `the agent refused its initialisation with status ${outcome}`);
    }
    if (Date.now() > deadline) {
      throw new SandportError('agent_unreachable', `the agent did not answer within ${timeoutMs} ms: ${outcome}`);
    }
    await delay(POLL_MS);
  }
}

/** Whether the agent answers. */
export async function agentIsHealthy(address: string): Promise<boolean> {
  return (await send(address, 'GET', '/health', undefined, undefined)) === 204;
}

function postInit(address: string, init: AgentInit, controlToken: string): Promise<number | string> {
  return send(address, 'POST', '/init', JSON.stringify(init), controlToken);
}

/** The status, or the code of the connection error. */
function send(
  address: string,
  method: string,
  path: string,
  body: string | undefined,
  controlToken: string | undefined,
): Promise<number | string> {
  return new Promise((resolve) => {
    const headers: Record<string, string> = { connection: 'close' };
    if (body !== undefined) headers['content-type'] = 'application/json';
    if (controlToken !== undefined) headers['x-control-token'] = controlToken;
    const call = request({ host: address, port: AGENT_PORT, method, path, headers, agent: false });
    const timer = setTimeout(() => call.destroy(new Error('no answer')), ATTEMPT_MS);
    call.on('response', (response) => {
      let received = 0;
      response.on('data', (chunk: Buffer) => {
        received += chunk.length;
        if (received > MAX_ANSWER) call.destroy(new Error('the answer is too long'));
      });
      response.on('end', () => resolve(response.statusCode ?? 0));
    });
    call.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
    call.on('close', () => {
      clearTimeout(timer);
      resolve('closed');
    });
    call.end(body);
  });
}
