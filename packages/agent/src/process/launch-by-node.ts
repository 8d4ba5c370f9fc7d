// Starts a program with what Node itself offers, on a platform without the addon: without supplementary groups, and with
// sockets in place of pipes.
import { spawn } from 'node:child_process';
import { constants } from 'node:os';
import type { LaunchedProcess, LaunchOptions } from './launch.ts';

export async function launchByNode(options: Omit<LaunchOptions, 'terminal'>): Promise<LaunchedProcess> {
  const { cmd, args, cwd, environment, user, stdin } = options;
  const child = spawn(cmd, args, {
    cwd,
    env: environment,
    uid: user.uid,
    gid: user.gid,
    detached: true,
    stdio: [stdin ? 'pipe' : 'ignore', 'pipe', 'pipe'],
  });
  if (child.pid === undefined) {
    const { promise, reject } = Promise.withResolvers<never>();
    child.once('error', reject);
    await promise;
  }
  // A failing kill reports here too; without a listener it would end the agent.
  child.on('error', () => {});
  return {
    pid: child.pid!,
    input: child.stdin === null ? undefined : { kind: 'stdin', stream: child.stdin },
    outputs: [
      { kind: 'stdout', stream: child.stdout! },
      { kind: 'stderr', stream: child.stderr! },
    ],
    kill: (signal) => child.kill(signal),
    onExit: (listener) => {
      child.once('exit', (code, signal) =>
        listener(signal === null ? { code: code ?? 0 } : { signal: constants.signals[signal] }),
      );
    },
  };
}
