// The peer of a start from nothing: a bare run that starts the agent, by the bundle that a sandbox has but for its
// limits and its own disk, until the agent answers.
import { request } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import { AGENT_PORT } from '@sandport/protocol/agent-port';
import type { Installation } from '@sandport/server/host/image/installation';
import { INSIDE_ADDRESS } from '@sandport/server/host/network/slot';
import { agentArguments } from '@sandport/server/host/runtime/agent-process';
import { type RuntimeName, withContainer } from '../support/bare-container.ts';

/** Milliseconds from the start of the runtime to the first answer of the agent. */
export async function bareAgentAnswer(runtime: RuntimeName, { base, agentDirectory }: Installation): Promise<number> {
  const { rootfs } = base.image;
  const bundle = { rootfs, args: agentArguments(), mounts: agentMounts(agentDirectory) };
  return withContainer(runtime, bundle, async (child, started) => {
    while (!(await isWell())) {
      if (child.exitCode !== null) throw new Error(`${runtime} ended with code ${child.exitCode} before any answer`);
      await delay(2);
    }
    return performance.now() - started;
  });
}

/** What a sandbox has beside what every bare container has. */
export function agentMounts(agentDirectory: string): object[] {
  return [
    {
      destination: '/dev/pts',
      type: 'devpts',
      source: 'devpts',
      options: ['nosuid', 'noexec', 'newinstance', 'ptmxmode=0666', 'mode=0620'],
    },
    { destination: '/dev/shm', type: 'tmpfs', source: 'shm', options: ['nosuid', 'nodev', 'mode=1777'] },
    { destination: '/sys', type: 'sysfs', source: 'sysfs', options: ['nosuid', 'noexec', 'nodev', 'ro'] },
    { destination: '/.sandport', type: 'bind', source: agentDirectory, options: ['bind', 'ro', 'nosuid', 'nodev'] },
  ];
}

function isWell(): Promise<boolean> {
  return new Promise((resolve) => {
    const call = request({ host: INSIDE_ADDRESS, port: AGENT_PORT, path: '/health', agent: false, timeout: 1000 });
    call.on('response', (response) => {
      response.resume();
      resolve(response.statusCode === 204);
    });
    call.on('timeout', () => call.destroy());
    call.on('error', () => resolve(false));
    call.on('close', () => resolve(false));
    call.end();
  });
}
