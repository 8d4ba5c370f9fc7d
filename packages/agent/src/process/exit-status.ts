// How a process ended, in the words the clients show.
import { constants } from 'node:os';
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
export function endEvent(code: number | null, signal: NodeJS.Signals | null): EndEvent {
  if (signal !== null) {
    const status = `signal: ${SIGNAL_TEXTS[signal] ?? `signal ${constants.signals[signal]}`}`;
    return { exitCode: -1, status, error: status };
  }
  const status = `exit status ${code ?? 0}`;
  return { ...(code ? { exitCode: code } : {}), exited: true, status, ...(code ? { error: status } : {}) };
}
