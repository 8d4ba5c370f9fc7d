// gVisor ignores set-user-ID programs, and with them sudo. The base image brings a daemon that runs the real sudo for
// those who may use it; the agent, as the first process and root, starts it. Elsewhere it ends at once by itself.
import { existsSync } from 'node:fs';
import { reportProblem } from './logs/problems.ts';
import { libc } from './native/system.ts';

const PROGRAM = '/usr/lib/sandport/sudod';

/** Does nothing in an image without it. */
export function startSudoDaemon(): void {
  if (!existsSync(PROGRAM)) return;
  const calls = libc();
  if (calls === undefined) {
    void startByNode();
    return;
  }
  try {
    // A session of its own, with nothing to read and nobody to write to. The reaper waits for it.
    const stdio = { terminal: '/dev/null' };
    calls.spawn({ path: PROGRAM, args: [PROGRAM], environment: [], cwd: '/', stdio });
  } catch (error) {
    reportNone(error);
  }
}

/** By a fork, which takes a quarter of a second under gVisor. */
async function startByNode(): Promise<void> {
  const { spawn } = await import('node:child_process');
  const daemon = spawn(PROGRAM, [], { stdio: 'ignore', detached: true, cwd: '/', env: {} });
  daemon.on('error', reportNone);
  daemon.unref();
}

function reportNone(error: unknown): void {
  reportProblem('sudo is not available', error);
}
