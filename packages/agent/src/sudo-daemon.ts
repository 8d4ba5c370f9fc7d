// gVisor ignores set-user-ID programs, and with them sudo. The base image brings a daemon that runs the real sudo for
// those who may use it; the agent, as the first process and root, starts it. Elsewhere it ends at once by itself.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { reportProblem } from './logs/problems.ts';

const PROGRAM = '/usr/lib/sandport/sudod';

/** Does nothing in an image without it. */
export function startSudoDaemon(): void {
  if (!existsSync(PROGRAM)) return;
  const daemon = spawn(PROGRAM, [], { stdio: 'ignore', detached: true, cwd: '/', env: {} });
  daemon.on('error', (error) => reportProblem('sudo is not available', error));
  daemon.unref();
}
