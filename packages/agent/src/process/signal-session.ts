// Signals the programs of a session. Of a terminal's, a kernel does so itself, but gVisor does not: neither when the size
// changes (SIGWINCH) nor when the program that leads the session is killed (SIGHUP).
import { readdirSync, readFileSync } from 'node:fs';

/** @param session the pid of the program that leads it, or led it */
export function signalSession(session: number, signal: NodeJS.Signals): void {
  for (const name of readdirSync('/proc')) {
    if (!/^[0-9]+$/.test(name)) continue;
    try {
      if (sessionOf(readFileSync(`/proc/${name}/stat`, 'latin1')) === session) process.kill(Number(name), signal);
    } catch {
      // It has ended meanwhile.
    }
  }
}

/** proc_pid_stat(5): the program's name, in parentheses, may have any character. */
function sessionOf(stat: string): number {
  const [, , , session] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return Number(session);
}
