// A process by its ID and its start time: an ID alone may by now be somebody else's (proc_pid_stat(5)).

import { readdirSync, readFileSync } from 'node:fs';

export interface ProcessIdentity {
  readonly pid: number;
  /** Field 22 of `/proc/PID/stat`: clock ticks from boot to the process's start. */
  readonly startTime: string;
}

/** The identity of a process that runs now; undefined when there is none, or only its zombie. */
export function identify(pid: number): ProcessIdentity | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    // The name before it is in parentheses and may hold anything, a parenthesis too.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    const [state] = fields;
    const startTime = fields[19];
    return state === 'Z' || state === 'X' || startTime === undefined ? undefined : { pid, startTime };
  } catch {
    return undefined;
  }
}

export function isRunning(process: ProcessIdentity): boolean {
  return identify(process.pid)?.startTime === process.startTime;
}

/** Sends a signal to this very process, if it still runs. */
export function signal({ pid, startTime }: ProcessIdentity, name: NodeJS.Signals): void {
  if (!isRunning({ pid, startTime })) return;
  try {
    process.kill(pid, name);
  } catch {
    // It ended between the look and the signal.
  }
}

/** Waits until none of the processes runs. Returns those that still do after `ms`. */
export async function untilGone(processes: readonly ProcessIdentity[], ms: number): Promise<ProcessIdentity[]> {
  const deadline = performance.now() + ms;
  for (;;) {
    const left = processes.filter(isRunning);
    if (left.length === 0 || performance.now() >= deadline) return left;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** Running processes whose command line satisfies `matches`. */
export function findProcesses(matches: (args: readonly string[]) => boolean): ProcessIdentity[] {
  const found: ProcessIdentity[] = [];
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    try {
      if (!matches(readFileSync(`/proc/${name}/cmdline`, 'utf8').split('\0'))) continue;
    } catch {
      // It ended meanwhile.
      continue;
    }
    const identity = identify(Number(name));
    if (identity !== undefined) found.push(identity);
  }
  return found;
}
