// How a process ended, in the words the clients show.
import { constants } from 'node:os';
import type { ExitStatus } from '@sandport/native/process-calls';
import type { EndEvent } from '@sandport/protocol/process-rpc';

/** What Go's syscall.Signal calls them, which is what users of the clients know; others go by number. */
const SIGNAL_TEXTS: Readonly<Record<string, string>> = {
  SIGHUP: 'hangup',
  SIGINT: 'interrupt',
  SIGQUIT: 'quit',
  SIGILL: 'illegal instruction',
  SIGTRAP: 'trace/breakpoint trap',
  SIGABRT: 'aborted',
  SIGBUS: 'bus error',
  SIGFPE: 'floating point exception',
  SIGKILL: 'killed',
  SIGUSR1: 'user defined signal 1',
  SIGSEGV: 'segmentation fault',
  SIGUSR2: 'user defined signal 2',
  SIGPIPE: 'broken pipe',
  SIGALRM: 'alarm clock',
  SIGTERM: 'terminated',
};

/** Zero values are absent, as in every message. */
export function endEvent(end: ExitStatus): EndEvent {
  if ('signal' in end) {
    const [name = ''] = Object.entries(constants.signals).find(([, number]) => number === end.signal) ?? [];
    const status = `signal: ${SIGNAL_TEXTS[name] ?? `signal ${end.signal}`}`;
    return { exitCode: -1, status, error: status };
  }
  const status = `exit status ${end.code}`;
  return { ...(end.code && { exitCode: end.code }), exited: true, status, ...(end.code && { error: status }) };
}
