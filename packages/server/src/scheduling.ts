// The control process goes before what it starts: timers of a thousand sandboxes are to be on time while a dozen programs
// remove others.
import { readdirSync } from 'node:fs';
import { constants, setPriority } from 'node:os';
import { loadKoffi } from '@sandport/native/koffi';

/** linux/sched.h. What a thread with it starts, programs and threads, has the usual priority again (sched(7)). */
const SCHED_RESET_ON_FORK = 0x4000_0000;
const SCHED_OTHER = 0;

/** Raises the priority of the threads that this process has; no program inherits it. False where the kernel refuses. */
export function preferThisProcess(): boolean {
  const set = loadKoffi().load(null).func('int sched_setscheduler(int thread, int policy, const int *priority)');
  for (const thread of readdirSync('/proc/self/task')) {
    // In this order: without the first the second would be inherited.
    if (set(Number(thread), SCHED_OTHER | SCHED_RESET_ON_FORK, [0]) !== 0) return false;
    try {
      setPriority(Number(thread), constants.priority.PRIORITY_ABOVE_NORMAL);
    } catch {
      return false;
    }
  }
  return true;
}
