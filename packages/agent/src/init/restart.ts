// What a restart of a machine does to the processes in it, for a sandbox whose kernel was kept and whose memory is to be
// forgotten: a runtime that keeps files in its kernel's memory cannot keep them alone.
import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { libc } from '../native/system.ts';
import { startSudoDaemon } from '../sudo-daemon.ts';

const SELF = 1;
const ALL_OTHERS = -1;
const LOOK_MS = 5;
const LONGEST_MS = 10_000;

/**
 * Ends every process but this one, forgets what was in shared memory, and has the kernel show a new boot ID. Only as the
 * first process of a sandbox; elsewhere it does nothing.
 *
 * @throws Error when processes do not end
 */
export async function restartProcesses(): Promise<void> {
  if (process.pid !== SELF) return;
  for (const deadline = Date.now() + LONGEST_MS; otherProcesses().length > 0; await delay(LOOK_MS)) {
    if (Date.now() > deadline) throw new Error('processes of before the restart do not end');
    try {
      process.kill(ALL_OTHERS, 'SIGKILL');
    } catch {
      // None is left that could be signalled (ESRCH).
    }
  }
  for (const name of readdirSync('/dev/shm')) rmSync(join('/dev/shm', name), { recursive: true, force: true });
  libc()?.mountProc();
  startSudoDaemon();
}

function otherProcesses(): string[] {
  return readdirSync('/proc').filter((name) => /^[0-9]+$/.test(name) && Number(name) !== SELF);
}
